# The keeper's guardian on macOS: sh guardian.sh MARKER
# Stdin is the life pipe, on which the keeper sends "front <pid>" and "done"; its end of file means that the keeper is gone. Then
# the front is ended, and every process whose environment has a marker that begins so. It needs only what macOS ships: sh, which
# is bash 3.2 there, and ps. ps shows no environment of the system's own programs, so those are found by nobody.
marker=$1
trap '' TERM INT HUP QUIT USR1 USR2 PIPE
cd /

# started PID: sets $start to the time of its start, as ps prints it; empty for an unused number.
started() {
  start=$(ps -o lstart= -p "$1" 2>/dev/null)
}

# list: writes the numbers of marked processes, a line each, and "seen" when ps has shown this shell, so that a ps that failed is
# not taken for an empty list. Each format has its own -o, since "=" takes the rest of a word for a header. A line that does not
# begin with a number goes on with the command above.
list() {
  last=0
  ps -axwwE -o pid= -o command= 2>/dev/null | while read -r pid rest; do
    case $pid in
      ('' | *[!0-9]*) rest="$pid $rest" pid=$last ;;
    esac
    last=$pid
    [ "$pid" != $$ ] || echo seen
    case " $rest" in
      (*" HOLDFAST_RUN=$marker"*) echo "$pid" ;;
    esac
  done
}

# look: sets $found to the marked processes. Returns 1 when they could not be listed.
look() {
  found='' is_seen=1
  for each in $(list); do
    if [ "$each" = seen ]; then is_seen=0; else found="$found $each"; fi
  done
  return $is_seen
}

# end_marked: stops what is marked until nothing new appears, so that it cannot fork faster than it is killed, then kills it; again
# until two looks find nothing. ps prints numbers a moment before the signal: macOS gives them in turn, so none is another's yet.
end_marked() {
  rounds=0 empty=0
  while [ $rounds -lt 500 ] && [ $empty -lt 2 ]; do
    rounds=$((rounds + 1))
    if ! look; then
      sleep 0.1
    elif [ -z "$found" ]; then
      empty=$((empty + 1))
    else
      empty=0 halted='' steps=0
      while [ "$found" != "$halted" ] && [ $steps -lt 50 ]; do
        kill -STOP $found
        halted=$found steps=$((steps + 1))
        look || found=$halted
      done
      kill -KILL $halted
      [ $rounds -lt 5 ] || sleep 0.02
    fi
  done 2>/dev/null
}

echo ready
front='' front_start=''
while read -r word first; do
  case $word in
    front)
      started "$first"
      front=$first front_start=$start
      ;;
    done) exit 0 ;;
  esac
done

if [ -n "$front_start" ]; then
  started "$front"
  [ "$start" != "$front_start" ] || kill -KILL "$front" 2>/dev/null
fi
end_marked
exit 0
