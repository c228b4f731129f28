# One run's guard on the `subreaper` tier: sh guard.sh TREE_SH EXECUTOR MARKER COMMAND [ARGUMENT]...
# Descriptor 5 is the command's image, from which EXECUTOR starts it; the arguments here are shown by ps only. The launcher made
# this shell a child subreaper, so it receives every orphan of the run. Descriptor 3 is the life line to the owner: the guard
# sends "guard <its pid> <pid of the monitor>", "started <pid of the command>" and "main <exit code>", and receives "end" when
# the owner has seen the tree empty, and its end of file means that the owner is gone.
. "$1"
executor=$2 marker=$3
shift 3
# Not an empty action: the run would inherit an ignored signal.
trap : TERM INT HUP QUIT USR1 USR2 PIPE
start_of $$
guard_start=$start

# Whether the guard is alive under its own pid: a pid alone may have been reused.
guard_lives() {
  start_of $$
  case $state in '' | Z | X) return 1 ;; esac
  [ "$start" = "$guard_start" ]
}

watch() {
  # Ignored here, so that a signal for the run's group cannot end the monitor or cut its read short.
  trap '' TERM INT HUP QUIT USR1 USR2 PIPE
  read -r monitor rest </proc/self/stat
  while read -r word <&3; do
    [ "$word" = end ] && exit 0
  done
  spare=$monitor
  ! guard_lives || end_tree $$
  if guard_lives; then
    # Once more with the guard stopped, because it may have started the command after that look. Not stopped earlier: it reaps
    # the dead, and among thousands of them a fast tree would escape.
    kill -STOP $$
    end_tree $$
    kill -KILL $$
  else
    # The guard was killed and its tree reparented: only the marker still identifies the processes.
    end_marked "$marker"
  fi
}
# The shell's own messages ("Killed") are kept off stderr, which is the run's.
exec 4>&2 2>/dev/null
watch </dev/null >/dev/null 4>&- 5<&- &
monitor=$!
echo "guard $$ $monitor" >&3

HOLDFAST_RUN=$marker
export HOLDFAST_RUN
unset HOLDFAST_GUARD
# In the foreground: a background command would lose its stdin and could not be interrupted. A subshell that becomes the
# command, so that the shell's messages about its end avoid this redirection.
(
  read -r main rest </proc/self/stat
  echo "started $main" >&3
  exec "$executor" 5 "$@" 2>&4 3>&- 4>&-
)
code=$?
exec 5<&-
echo "main $code" >&3
# While it waits, the shell reaps the dead; the monitor ends when the tree is empty.
while kill -0 $monitor 2>/dev/null; do wait $monitor; done
exit $code
