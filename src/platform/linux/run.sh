# Runs `holdfast run`: sh run.sh TREE_SH GUARD_SH LAUNCHER WAITER EXECUTOR CGROUP_LAUNCHER GROUP MARKER GRACE_MS TERMINAL
# DEAF LIMIT_PIDS LIMIT_PAGES PAGE_KIB COMMAND [ARGUMENT]...
# This is the process that the caller knows. It and the guard are both subreapers, and each ends the tree when the other dies.
# DEAF names the signals that the caller had ignored. Descriptors: 3 is the command's image, 7 and 8 are the ends of the life
# line to the guard; pidfds are 9 of the caller, 6 of --kill-with and 5 of this process itself. GROUP is the cgroup in which the
# CGROUP_LAUNCHER starts the command, or "-". dash supports single-digit descriptors only.
. "$1"
tree_functions=$1 guard_script=$2 launcher=$3 waiter=$4 executor=$5 cgroup_launcher=$6 group=$7 marker=$8
shift 8
grace=$1 terminal=$2 deaf=$3
shift 3

# Sleeps until the caller ends and tells the guard. When this process ends, it kills the cgroup, removes it and ends too, which
# ends the life line: not being a shell, it survives a kill of all shells. The signals that it must outlast are ignored.
stand_watch() {
  trap '' TERM INT HUP QUIT
  if [ "$group" = - ]; then stroke=/dev/null; else stroke=$group/cgroup.kill; fi
  exec "$waiter" "$group" 3>"$stroke" 6<&- 7<&-
}
stand_watch </dev/null >/dev/null 2>&1 &
waiters=$!
if [ -e /proc/$$/fd/6 ]; then
  stand_watch 9<&6 </dev/null >/dev/null 2>&1 &
  waiters="$waiters $!"
fi

pass() { echo "$1" >&8; }
trap 'pass TERM' TERM
trap 'pass HUP' HUP
trap : USR1 USR2 PIPE
# At a terminal the kernel sends ^C and ^\ to the command itself; forwarding would duplicate them.
if [ "$terminal" = 1 ]; then trap : INT QUIT; else trap 'pass INT' INT; trap 'pass QUIT' QUIT; fi
[ -z "$deaf" ] || trap '' $deaf

exec 4<&0
"$launcher" /bin/sh "$guard_script" "$tree_functions" "$executor" "$cgroup_launcher" "$group" "$marker" "$grace" "$@" <&4 4<&- 5<&- 6<&- 8>&- 9<&- &
guard=$!
# From here on only the command holds the caller's streams, so the caller sees them close when the command closes them.
exec 3<&- 4<&- 5<&- 6<&- 7<&- 9<&- </dev/null >/dev/null 2>&1

wait $guard
code=$?
# A trap ends the wait early; the guard's own status counts.
while kill -0 $guard; do
  wait $guard
  code=$?
done
# A killed guard's tree was reparented to this process.
spare=$waiters
end_group "$group"
end_tree $$
[ -z "$waiters" ] || kill -KILL $waiters
exit $code
