# What `holdfast run` becomes: sh run.sh TREE_SH GUARD_SH LAUNCHER WAITER EXECUTOR CGROUP_LAUNCHER GROUP MARKER GRACE_MS TERMINAL
# DEAF LIMIT_PIDS LIMIT_PAGES PAGE_KIB COMMAND [ARGUMENT]...
# This is the process that the caller knows. It and the guard are both subreapers, and each ends the tree when the other
# dies. DEAF names the signals that the caller had ignored. Descriptors: 3 is the command's image, 7 and 8 are the ends of the life line to the guard; pidfds are 9 of the caller, 6 of --kill-with and
# 5 of this process itself. GROUP is the cgroup that the command is born in by the CGROUP_LAUNCHER, or "-".
# dash knows single-digit descriptors only.
. "$1"
tree_functions=$1 guard_script=$2 launcher=$3 waiter=$4 executor=$5 cgroup_launcher=$6 group=$7 marker=$8
shift 8
grace=$1 terminal=$2 deaf=$3
shift 3

# Sleeps until the caller ends and says so to the guard. Ends with this process, so that the life line ends then too, and
# kills the cgroup first and takes it down: it is no shell, so whoever kills every shell there is has not killed it.
# It must not end by the signals that it is there to outlast.
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
# At a terminal the kernel sends ^C and ^\ to the command itself; passing them on would be a second one.
if [ "$terminal" = 1 ]; then trap : INT QUIT; else trap 'pass INT' INT; trap 'pass QUIT' QUIT; fi
[ -z "$deaf" ] || trap '' $deaf

exec 4<&0
"$launcher" /bin/sh "$guard_script" "$tree_functions" "$executor" "$cgroup_launcher" "$group" "$marker" "$grace" "$@" <&4 4<&- 5<&- 6<&- 8>&- 9<&- &
guard=$!
# Only the command holds the caller's streams from here on, so the caller sees them close when the command closes them.
exec 3<&- 4<&- 5<&- 6<&- 7<&- 9<&- </dev/null >/dev/null 2>&1

wait $guard
code=$?
# A trap ends the wait early; the guard's own status is the one that counts.
while kill -0 $guard; do
  wait $guard
  code=$?
done
# When the guard was killed, its tree was handed to this process.
spare=$waiters
end_group "$group"
end_tree $$
[ -z "$waiters" ] || kill -KILL $waiters
exit $code
