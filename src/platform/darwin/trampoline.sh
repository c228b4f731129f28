# The program of a run's launchd job: sh trampoline.sh DIRECTORY INPUT OUTPUT ERRORS
# It opens the three streams, says "hello <pid>" and waits for "go"; then it becomes the command that follows. The end of file
# without "go" means that the keeper has given up or is gone. DIRECTORY holds the FIFOs "control" and "hello"; a stream is a FIFO,
# /dev/null or a terminal. Nothing here waits for another process to open a FIFO, since that one may be gone: each FIFO is opened
# for both directions for a moment, which never waits (fifo_open in fifo_vnops.c).
PATH=/usr/bin:/bin
exec 4<>"$1/control" 3<"$1/control" 4>&- || exit 70
exec 4<>"$2" 0<"$2" 4>&- || exit 70
exec 4<>"$3" 1>"$3" 4>&- || exit 70
exec 4<>"$4" 2>"$4" 4>&- || exit 70
exec 4<>"$1/hello" 5>"$1/hello" 4>&- || exit 70
echo "hello $$" >&5
exec 5>&-

read -r word <&3 && [ "$word" = go ] || exit 70
script=$(cat <&3)
exec 3<&-
is_whole=no
eval "$script"
# What was cut short is not run.
[ "$is_whole" = yes ] || exit 70
exec "$@"
