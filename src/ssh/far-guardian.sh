# One connection's guardian on the far side. Variables set before: $link (the mark of the connection, /OWNER/EPOCH.LINK/),
# $owner (/OWNER/), $keep (marks of connections that live), $grace (tenths), $patience (seconds without a word), $only.
# Hears on stdin: "beat N", "signal RUN NAME", "end RUN", "bye". Its end of file, or silence, means that the near side is gone.
trap '' HUP INT TERM PIPE
PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
spare=''
[ -r /proc/self/stat ] || { echo 'holdfast-far no-proc'; exit 0; }
far_base
tier=marker reaper=''
case $(uname -m) in x86_64) call=157 ;; aarch64) call=167 ;; *) call='' ;; esac
if [ -n "$call" ] && perl -e "exit(syscall($call, 36, 1, 0, 0, 0) == 0 ? 0 : 1)" 2>/dev/null; then tier=subreaper reaper=$call; fi
if [ -n "$base" ]; then tier=cgroup; fi
case $only in
  marker) tier=marker base='' reaper='' ;;
  subreaper) [ -z "$reaper" ] || { tier=subreaper base=''; } ;;
esac

# What another life of the same owner, or a connection that is lost, left here.
stale() {
  left=''
  for file in $(grep -lsF -e "HOLDFAST_FAR=$owner" -e "HOLDFAST_GUARD=$owner" /proc/[0-9]*/environ); do
    for kept in $keep; do
      if grep -qsF -e "HOLDFAST_FAR=$kept" -e "HOLDFAST_GUARD=$kept" "$file"; then continue 2; fi
    done
    file=${file#/proc/}
    left="$left ${file%/environ}"
  done
  collect "$left"
  living $left $tree
}
swept=0 rounds=0
stale
for each in $alive; do swept=$((swept + 1)); done
while [ -n "$alive" ] && [ $rounds -lt 200 ]; do
  kill -STOP $alive 2>/dev/null
  stale
  kill -KILL $alive 2>/dev/null
  rounds=$((rounds + 1))
  [ $rounds -lt 5 ] || sleep 0.05
  stale
done
if [ -n "$base" ]; then
  fence_of "$owner"
  for each in "$fence"*; do
    kept=''
    for mark in $keep; do
      fence_of "$mark"
      case $each in "$fence"*) kept=1 ;; esac
    done
    [ -n "$kept" ] || { echo 1 >"$each/cgroup.kill"; rmdir "$each"; } 2>/dev/null || :
  done
fi

# Counts the seconds in which nothing was heard, and acts when they are too many or the guardian itself is gone.
start_of $$
main_start=$start
stand_watch() {
  missed=0 nap=''
  trap 'missed=0' USR1
  trap '[ -z "$nap" ] || kill -KILL $nap; exit 0' TERM
  while [ $missed -lt "$patience" ]; do
    start_of $$
    [ "$start" = "$main_start" ] || break
    sleep 1 &
    nap=$!
    while kill -0 $nap 2>/dev/null; do wait $nap; done
    missed=$((missed + 1))
  done
  end_politely "$link" "$grace"
  start_of $$
  [ "$start" != "$main_start" ] || kill -KILL $$
  exit 0
}
stand_watch </dev/null >/dev/null 2>&1 &
watcher=$!

echo "holdfast-far ready $tier ${reaper:--} $swept ${base:--}"
while read -r word first second; do
  kill -USR1 $watcher
  case $word in
    beat) echo "beat $first" ;;
    signal)
      mine "$link$first"
      [ -z "$alive" ] || kill -"$second" $alive 2>/dev/null
      ;;
    end) (if end_now "$link$first"; then echo "empty $first"; else echo "left $first $alive"; fi) & ;;
    bye) break ;;
  esac
done
kill -TERM $watcher
wait $watcher
[ "$word" = bye ] || end_politely "$link" "$grace"
end_now "$link"
exit 0
