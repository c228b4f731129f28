# The guard of `holdfast run`: sh run-guard.sh TREE_SH EXECUTOR CGROUP_LAUNCHER GROUP MARKER GRACE_MS LIMIT_PIDS LIMIT_PAGES
# PAGE_KIB COMMAND [ARGUMENT]...
# A subreaper by the launcher. Descriptor 3 is the command's image, from which EXECUTOR starts it; descriptor 7 is the life line: a line names a signal for the tree, or says "gone" when the
# caller ended; its end of file means that the process which the caller knows was killed.
. "$1"
executor=$2 cgroup_launcher=$3 group=$4 marker=$5 grace=$6 limit_pids=$7 limit_pages=$8 page_kib=$9
shift 9
trap : TERM INT HUP QUIT USR1 USR2 PIPE
start_of $$
guard_start=$start

# end_all: ends what is below the guard by force; in one stroke first where there is a cgroup.
end_all() {
  [ "$group" = - ] || echo 1 >"$group/cgroup.kill"
  end_tree $$
}

# politely SIGNAL: sends it to the whole tree and ends by force what is left after the grace.
politely() {
  ! gone $$ || return 0
  kill -"$1" $alive
  waited=0
  while [ $waited -lt "$grace" ]; do
    sleep 0.05
    waited=$((waited + 50))
    ! gone $$ || return 0
  done
  end_all
}

# weigh PID...: sets $count to how many there are and $pages to their resident memory.
weigh() {
  count=$# pages=0
  for each; do
    resident=0
    { read -r size resident rest <"/proc/$each/statm"; } 2>/dev/null || :
    pages=$((pages + resident))
  done
}

# Looks five times a second, for as long as the guard lives; ends the tree that is over its limit and says why on stderr.
# A child of the monitor, so that $spare leaves it out too.
hold_limits() {
  while sleep 0.2; do
    start_of $$
    [ "$start" = "$guard_start" ] || exit 0
    collect $$
    living $tree
    weigh $alive
    # The kernel has refused a fork, where it holds limits too.
    [ "$limit_pids" -gt 0 ] && counted "$group/pids.events" max && break
    [ "$limit_pids" -gt 0 ] && [ $count -gt "$limit_pids" ] && break
    [ "$limit_pages" -gt 0 ] && [ $pages -gt "$limit_pages" ] && break
  done
  echo "holdfast run: limit exceeded: $count processes, $((pages * page_kib)) KiB; the tree is ended" >&4
  end_all
}

# Whether the guard's number is still the guard's, and it lives: a pid alone names nobody.
guard_lives() {
  start_of $$
  case $state in '' | Z | X) return 1 ;; esac
  [ "$start" = "$guard_start" ]
}

watch() {
  trap '' TERM INT HUP QUIT USR1 USR2 PIPE
  read -r spare rest </proc/self/stat
  if [ "$limit_pids" -gt 0 ] || [ "$limit_pages" -gt 0 ]; then hold_limits 3<&- 7<&- & fi
  exec 3<&- 4>&-
  started='' asked=''
  while read -r word <&7; do
    case $word in
      started) started=1 ;;
      gone) asked=TERM ;;
      *) asked=$word ;;
    esac
    # A signal before the command is there would find nobody, or a shell that does not hear it.
    [ -n "$started" ] && [ -n "$asked" ] || continue
    politely "$asked"
    asked=''
  done
  [ "$group" = - ] || echo 1 >"$group/cgroup.kill"
  ! guard_lives || end_tree $$
  if guard_lives; then
    # Once more with the guard stopped, because it may have started the command after that look. Not stopped from the
    # beginning: it takes the dead off the table, and among thousands of them a fast tree would not be caught.
    kill -STOP $$
    end_tree $$
    kill -KILL $$
  else
    # The guard was killed and its tree handed to others: without a cgroup, what is marked is all that can still be told.
    end_marked "$marker"
  fi
  end_group "$group"
}

exec 4>&2 2>/dev/null
watch </dev/null >/dev/null &
monitor=$!
HOLDFAST_RUN=$marker
export HOLDFAST_RUN
set -- "$executor" 3 "$@"
[ "$group" = - ] || set -- "$cgroup_launcher" "$group" "$@"
# In the foreground (it keeps its stdin and ^C); a subshell, so that its stderr is not ours when the shell remarks on it.
(
  # By its path, because holding it open here would keep the life line from ending.
  echo started >"/proc/$PPID/fd/8"
  exec "$@" 2>&4 4>&- 7<&-
)
code=$?
# The kernel ends a tree for its memory as a whole, sooner than any look sees it.
! counted "$group/memory.events" oom_kill || echo "holdfast run: limit exceeded: out of memory; the tree is ended" >&4
# What the command left behind ends with it. Nobody is kept waiting on its streams meanwhile.
exec </dev/null >/dev/null 3<&- 4>&-
spare=$monitor
politely TERM
# The monitor, when the life line has ended too, takes the helpers of this shell for the command's: then it does this itself.
tries=0
while [ -d "$group" ] && [ $tries -lt 100 ]; do
  end_group "$group"
  tries=$((tries + 1))
done
kill -KILL $monitor
exit $code
