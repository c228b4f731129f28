# The remote guardian of one connection. Input variables: $link (the mark of the connection, /OWNER/EPOCH.LINK/), $owner
# (/OWNER/), $epoch (/OWNER/EPOCH.), $gone (marks of this epoch's lost connections), $grace (tenths), $patience (seconds of
# silence), $only. Reads from stdin: "beat N", "signal RUN NAME", "end RUN", "bye". End of file, or silence, means that the
# local side is gone.
trap '' HUP INT TERM PIPE
PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
spare=''
[ -r /proc/self/stat ] || { echo; echo 'holdfast-far no-proc'; exit 0; }
far_base
tier=marker reaper=''
case $(uname -m) in x86_64) call=157 ;; aarch64) call=167 ;; *) call='' ;; esac
if [ -n "$call" ] && perl -e "exit(syscall($call, 36, 1, 0, 0, 0) == 0 ? 0 : 1)" 2>/dev/null; then tier=subreaper reaper=$call; fi
if [ -n "$base" ]; then tier=cgroup; fi
case $only in
  marker) tier=marker base='' reaper='' ;;
  subreaper) [ -z "$reaper" ] || { tier=subreaper base=''; } ;;
esac

# Leftovers of another keeper of the same owner, or of a lost connection.
stale() {
  left=''
  for file in $(grep -lsF -e "HOLDFAST_FAR=$owner" -e "HOLDFAST_GUARD=$owner" /proc/[0-9]*/environ); do
    # Other connections of this epoch may reach this machine under another name.
    if grep -qsF -e "HOLDFAST_FAR=$epoch" -e "HOLDFAST_GUARD=$epoch" "$file"; then
      is_gone=''
      for mark in $gone; do
        if grep -qsF -e "HOLDFAST_FAR=$mark" -e "HOLDFAST_GUARD=$mark" "$file"; then is_gone=1; fi
      done
      [ -n "$is_gone" ] || continue
    fi
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
# Their cgroups may be anywhere: where every login has its own, those of other logins are siblings.
end_fences() {
  name_of "$1"
  for group in $(find "$mount" -type d -name "$name*" -prune 2>/dev/null); do
    name_of "$2"
    case $group in */"$name"*) ;; *) end_group "$group" || : ;; esac
  done
}
if [ -n "$base" ]; then
  end_fences "$owner" "$epoch"
  for mark in $gone; do end_fences "$mark" none; done
fi

# Counts the silent seconds, and ends the runs when there are too many or the guardian itself is gone.
start_of $$
main_start=$start
stand_watch() {
  missed=0
  trap 'missed=0' USR1
  trap '[ -z "$!" ] || kill -KILL $!; exit 0' TERM
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
monitor=$!

# A login script may have printed an unfinished line.
echo
echo "holdfast-far ready $tier ${reaper:--} $swept ${base:--}"
while read -r word first second; do
  kill -USR1 $monitor
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
kill -TERM $monitor
wait $monitor
[ "$word" = bye ] || end_politely "$link" "$grace"
end_now "$link"
exit 0
