#!/bin/sh
# forest.sh COUNT: one leader and COUNT - 1 children that sleep; "ready" on stdout when all of them are there.
left=$(($1 - 1))
while [ $left -gt 0 ]; do
  sleep 900 <&- >&- 2>&- &
  left=$((left - 1))
done
echo ready
exec sleep 900
