# One run's guard on the `subreaper` tier: sh guard.sh TREE_SH EXECUTOR MARKER COMMAND [ARGUMENT]...
# Descriptor 5 is the command's image, from which EXECUTOR starts it; the words here are only for people who look at ps.
# The launcher made this shell a child subreaper, so every orphan of the run is handed to it. Descriptor 3 is the life
# line to the owner: it says "guard <its pid> <pid of the
# monitor>", "started <pid of the command>" and "main <exit code>", it hears "end" when the owner has
# seen the tree empty, and its end of file means that the owner is gone.
. "$1"
executor=$2 marker=$3
shift 3
# Not an empty action: a trap that ignores would be inherited by the run.
trap : TERM INT HUP QUIT USR1 USR2 PIPE
start_of $$
guard_start=$start

# Whether the guard's number is still the guard's, and it lives: a pid alone names nobody.
guard_lives() {
  start_of $$
  case $state in '' | Z | X) return 1 ;; esac
  [ "$start" = "$guard_start" ]
}

watch() {
  # Ignored here, so that a signal meant for the run's group cannot end the monitor or cut its read short.
  trap '' TERM INT HUP QUIT USR1 USR2 PIPE
  read -r monitor rest </proc/self/stat
  while read -r word <&3; do
    [ "$word" = end ] && exit 0
  done
  spare=$monitor
  ! guard_lives || end_tree $$
  if guard_lives; then
    # Once more with the guard stopped, because it may have started the command after that look. Not stopped from the
    # beginning: it takes the dead off the table, and among thousands of them a fast tree would not be caught.
    kill -STOP $$
    end_tree $$
    kill -KILL $$
  else
    # The guard was killed and its tree handed to others: what is marked is all that can still be told.
    end_marked "$marker"
  fi
}
# The shell's own remarks ("Killed") are not the run's: only the run writes to the run's stderr.
exec 4>&2 2>/dev/null
watch </dev/null >/dev/null 4>&- 5<&- &
monitor=$!
echo "guard $$ $monitor" >&3

HOLDFAST_RUN=$marker
export HOLDFAST_RUN
unset HOLDFAST_GUARD
# In the foreground: a command in the background would lose its stdin and could not be interrupted. As a subshell that becomes
# it, so that the redirection is not in force here when the shell remarks on how it ended.
(
  read -r main rest </proc/self/stat
  echo "started $main" >&3
  exec "$executor" 5 "$@" 2>&4 3>&- 4>&-
)
code=$?
exec 5<&-
echo "main $code" >&3
# While it waits, the shell takes the dead off the table; the monitor ends when the tree is empty.
while kill -0 $monitor 2>/dev/null; do wait $monitor; done
exit $code
