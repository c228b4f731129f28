#!/bin/sh
# stubborn-tree.sh FILE: ignores the end of its stdin and every polite signal, and so do four helpers, each hidden in
# another way. Each lists itself in FILE as "pid startTime role", by what the mounted /proc calls it, so that the list is
# right in a pid namespace too. All of them end by themselves after a quarter of an hour.
file=$1
trap '' TERM HUP INT QUIT
hidden="trap '' TERM HUP INT QUIT; read -r l </proc/self/stat; set -- \${l##*) }; shift 19; echo \"\${l%% *} \$1 \$0\" >>'$file'; exec sleep 900 <&- >&- 2>&-"
sh -c "$hidden" group &
setsid sh -c "$hidden" setsid &
env -i setsid sh -c "$hidden" cleared &
(sh -c "$hidden" double-forked &)
exec sh -c "$hidden" leader
