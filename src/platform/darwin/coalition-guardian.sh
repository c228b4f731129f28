# The guardian of one epoch, as a launchd job: sh coalition-guardian.sh DIRECTORY SWEEP [ARGUMENT]...
# The FIFO "life" in DIRECTORY is its line from the keeper, on which it hears "front <pid> <start time>" and "done"; the end of file
# means that the keeper is gone, and then the command SWEEP ends everything of the epoch, with the front as its last two arguments.
# launchd starts this script again unless it ends with 0, so a signal cannot keep it from its work. Nothing here waits for another
# process to open a FIFO (see trampoline.sh).
PATH=/usr/bin:/bin
trap '' PIPE
directory=$1
shift
# Without its directory the epoch was ended in order.
[ -p "$directory/life" ] || exit 0
exec 4<>"$directory/life" 3<"$directory/life" 4>&- || exit 0
exec 4<>"$directory/hello" 5>"$directory/hello" 4>&- || exit 0
echo "hello $$" >&5
exec 5>&-

front='' front_start=''
while read -r word first second <&3; do
  case $word in
    front) front=$first front_start=$second ;;
    done) exit 0 ;;
  esac
done
exec 3<&-
if [ -n "$front" ]; then set -- "$@" "$front" "$front_start"; fi
"$@" || exit 1
