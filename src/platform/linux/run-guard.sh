# The guard of `holdfast run`: sh run-guard.sh TREE_SH EXECUTOR CGROUP_LAUNCHER GROUP MARKER GRACE_MS LIMIT_PIDS LIMIT_PAGES
# PAGE_KIB COMMAND [ARGUMENT]...
# A subreaper. Descriptor 3 is the command's image, which EXECUTOR starts; descriptor 7 is the life line: a line names a signal
# for the tree, or says "gone" when the caller ended; its end of file means that the process known to the caller was killed.
. "$1"
executor=$2 cgroup_launcher=$3 group=$4 marker=$5 grace=$6 limit_pids=$7 limit_pages=$8 page_kib=$9
shift 9
trap : TERM INT HUP QUIT USR1 USR2 PIPE
start_of $$
guard_start=$start

# end_all: ends everything below the guard by force; with a cgroup, first in one kill.
end_all() {
  [ "$group" = - ] || echo 1 >"$group/cgroup.kill"
  end_tree $$
}

# politely SIGNAL: sends it to the whole tree and ends survivors by force after the grace.
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

# weigh PID...: sets $count to their number and $pages to their resident memory.
weigh() {
  count=$# pages=0
  for each; do
    resident=0
    { read -r size resident rest <"/proc/$each/statm"; } 2>/dev/null || :
    pages=$((pages + resident))
  done
}

# Polls five times a second while the guard lives; ends a tree over its limit and gives the reason on stderr. A child of the
# monitor, so that $spare excludes it too.
hold_limits() {
  while sleep 0.2; do
    start_of $$
    [ "$start" = "$guard_start" ] || exit 0
    collect $$
    living $tree
    weigh $alive
    # The kernel refused a fork, where it enforces limits too.
    [ "$limit_pids" -gt 0 ] && counted "$group/pids.events" max && break
    [ "$limit_pids" -gt 0 ] && [ $count -gt "$limit_pids" ] && break
    [ "$limit_pages" -gt 0 ] && [ $pages -gt "$limit_pages" ] && break
  done
  echo "holdfast run: limit exceeded: $count processes, $((pages * page_kib)) KiB; the tree is ended" >&4
  end_all
}

# Whether the guard is alive under its own pid: a pid alone may have been reused.
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
    # Before the command's start a signal would be lost, or reach a shell that ignores it.
    [ -n "$started" ] && [ -n "$asked" ] || continue
    politely "$asked"
    asked=''
  done
  [ "$group" = - ] || echo 1 >"$group/cgroup.kill"
  ! guard_lives || end_tree $$
  if guard_lives; then
    # Once more with the guard stopped, because it may have started the command after that look. Not stopped earlier: it reaps
    # the dead, and among thousands of them a fast tree would escape.
    kill -STOP $$
    end_tree $$
    kill -KILL $$
  else
    # The guard was killed and its tree reparented: without a cgroup, only the marker still identifies the processes.
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
# In the foreground (it keeps its stdin and ^C); a subshell, so that the shell's messages about it stay off the run's stderr.
(
  # By its path: an open descriptor here would keep the life line from ending.
  echo started >"/proc/$PPID/fd/8"
  exec "$@" 2>&4 4>&- 7<&-
)
code=$?
# The kernel ends a whole tree for its memory before any look sees it.
! counted "$group/memory.events" oom_kill || echo "holdfast run: limit exceeded: out of memory; the tree is ended" >&4
# Descendants end with the command, without a wait for their streams.
exec </dev/null >/dev/null 3<&- 4>&-
spare=$monitor
politely TERM
# After the life line's end the monitor takes this shell's helpers for the command's: then this shell ends the tree itself.
tries=0
while [ -d "$group" ] && [ $tries -lt 100 ]; do
  end_group "$group"
  tries=$((tries + 1))
done
kill -KILL $monitor
exit $code
