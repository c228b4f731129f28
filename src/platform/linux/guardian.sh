# The keeper's guardian: sh guardian.sh TREE_SH MARKER FENCE HOME [CONTROLLER]...
# Stdin is the life pipe, on which the keeper sends "front <pid> <start time>" and "done"; its end of file means that the keeper
# is gone, and then everything of this epoch is ended: the cgroup FENCE ("-": none) first, then marked processes. HOME is the
# cgroup that this shell moves to ("-": none), so that killing the fence does not end it. CONTROLLERs are those that the keeper
# enabled for the children of HOME's parent.
. "$1"
marker=$2 fence=$3 home=$4
shift 4
trap '' TERM INT HUP QUIT USR1 USR2 PIPE
cd /
[ "$home" = - ] || echo $$ >"$home/cgroup.procs" || exit 3
echo ready

front='' front_start=''
while read -r word first second; do
  case $word in
    front) front=$first front_start=$second ;;
    done) exit 0 ;;
  esac
done

if [ "$fence" != - ]; then
  echo 1 >"$fence/cgroup.kill"
  rounds=0
  while populated "$fence" && [ $rounds -lt 3000 ]; do
    rounds=$((rounds + 1))
    [ $rounds -ge 200 ] || continue
    echo 1 >"$fence/cgroup.kill"
    kill_each "$fence"
    sleep 0.01
  done
fi
if [ -n "$front" ]; then
  start_of "$front"
  [ "$start" = "$front_start" ] && kill -KILL "$front" 2>/dev/null
fi
end_marked "$marker"
# This shell is the last process, so it removes the epoch's cgroups, its own included. A cgroup whose children have controllers
# accepts no process.
[ "$fence" = - ] || remove_group "$fence"
if [ "$home" != - ]; then
  above=${home%/*}
  for controller; do echo "-$controller" >"$above/cgroup.subtree_control"; done 2>/dev/null
  echo $$ >"$above/cgroup.procs" && remove_group "$home"
fi 2>/dev/null
exit 0
