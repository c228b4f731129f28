# Functions shared by the guards and guardian.sh: find and end a process tree with builtins only, because every fork would add a
# process to tell apart. POSIX sh; runs in dash, bash and busybox.

# start_of PID: sets $start to field 22 of /proc/PID/stat and $state to its letter; empty for an unused pid.
start_of() {
  state='' start='' stat=''
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
  # The name is in parentheses and may hold anything, so fields are counted after the last one.
  set -- ${stat##*) }
  state=$1 start=${20}
}

# collect ROOT: sets $tree to every process below ROOT, level by level, except $spare and its descendants.
collect() {
  tree='' level=$1
  while [ -n "$level" ]; do
    next=''
    for parent in $level; do
      for list in /proc/$parent/task/*/children; do
        children=''
        # The file has no final newline, so read fails after filling the variable.
        { read -r children <"$list"; } 2>/dev/null || :
        for child in $children; do
          case " $spare " in *" $child "*) ;; *) next="$next $child" ;; esac
        done
      done
    done
    tree="$tree$next" level=$next
  done
}

# living PID...: sets $alive to those that can still act. A process without memory cannot fork and is as good as dead, unless it
# is a first thread that ended before the others. The cheapest checks come first: a shell reads files byte by byte.
living() {
  alive=''
  for each; do
    if [ ! -e "/proc/$each/exe" ]; then
      size=0
      { read -r size rest <"/proc/$each/statm"; } 2>/dev/null || :
      if [ "$size" = 0 ]; then
        threads=0
        for thread in /proc/"$each"/task/*; do threads=$((threads + 1)); done
        [ $threads -gt 1 ] || continue
      fi
    fi
    alive="$alive $each"
  done
}

# gone ROOT: whether nothing lives below ROOT. A process that dies between two reads may have left an unlisted child, so an
# answer counts only when everything listed was known to be dead before the look (or the list is empty).
gone() {
  dead='' looks=0
  while [ $looks -lt 100 ]; do
    collect "$1"
    living $tree
    [ -z "$alive" ] || return 1
    [ "$tree" != "$dead" ] || return 0
    dead=$tree looks=$((looks + 1))
  done
  return 1
}

# end_tree ROOT: ends everything below ROOT except $spare; stops it first, so that it cannot fork faster than it is killed.
# Returns 1 with survivors after the last round.
end_tree() {
  rounds=0
  while [ $rounds -lt 400 ]; do
    ! gone "$1" || return 0
    halted='' steps=0
    while [ "$alive" != "$halted" ] && [ $steps -lt 50 ]; do
      kill -STOP $alive 2>/dev/null
      halted=$alive
      collect "$1"
      living $tree
      steps=$((steps + 1))
    done
    [ -z "$alive" ] || kill -KILL $alive 2>/dev/null
    rounds=$((rounds + 1))
    # The kernel needs a moment to end a killed process; the first rounds skip the fork for sleep.
    [ $rounds -lt 10 ] || sleep 0.01
  done
  return 1
}

# end_marked MARKER: ends every process whose environment began with this marker. Returns 1 with survivors.
end_marked() {
  rounds=0
  while [ $rounds -lt 100 ]; do
    marked=$(grep -lsF -- "HOLDFAST_RUN=$1" /proc/[0-9]*/environ)
    [ -n "$marked" ] || return 0
    pids=''
    for file in $marked; do
      file=${file#/proc/}
      pids="$pids ${file%%/*}"
    done
    living $pids
    [ -n "$alive" ] || return 0
    kill -KILL $alive 2>/dev/null
    rounds=$((rounds + 1))
    [ $rounds -lt 5 ] || sleep 0.02
  done
  return 1
}

# populated GROUP: whether this cgroup or one below it holds a process.
populated() {
  is_populated=0
  while read -r key value; do [ "$key" = populated ] && is_populated=$value; done <"$1/cgroup.events"
  [ "$is_populated" = 1 ]
} 2>/dev/null

# counted FILE KEY: whether a file of "key number" lines has more than 0 for this key. False for a missing file.
counted() {
  while read -r key value; do
    [ "$key" != "$2" ] || [ "$value" = 0 ] || return 0
  done <"$1"
  return 1
} 2>/dev/null

# kill_each GROUP: signals every process of a cgroup and its descendants by pid. cgroup.kill signals first threads: a process
# whose first thread ended before the others misses it. 0 = of a foreign pid namespace.
kill_each() {
  find "$1" -name cgroup.procs -exec cat {} + | while read -r each; do
    [ "$each" = 0 ] || kill -KILL "$each"
  done
} 2>/dev/null

# end_group GROUP: ends everything in a cgroup ("-": none) and removes it. Returns 1 with survivors.
end_group() {
  [ -d "$1" ] || return 0
  rounds=0
  while populated "$1"; do
    [ $rounds -lt 1000 ] || return 1
    echo 1 >"$1/cgroup.kill"
    [ $rounds -lt 50 ] || kill_each "$1"
    rounds=$((rounds + 1))
    [ $rounds -lt 100 ] || sleep 0.01
  done
  remove_group "$1"
} 2>/dev/null

# remove_group GROUP: removes an empty cgroup. It may stay busy for a moment after its last exit, and a run may have made groups
# inside it. Returns 1 when it stays.
remove_group() {
  tries=0
  while [ $tries -lt 100 ]; do
    rmdir "$1" || find "$1" -depth -type d -exec rmdir {} +
    [ -d "$1" ] || return 0
    tries=$((tries + 1))
    sleep 0.02
  done
  return 1
} 2>/dev/null
