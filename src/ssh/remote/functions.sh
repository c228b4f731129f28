# Functions for the remote side of an ssh run, sent over stdin after those of tree.sh, so nothing is installed. Needs a
# POSIX sh and /proc. A mark is /OWNER/EPOCH.LINK/RUN; commands carry it as HOLDFAST_FAR, guards as HOLDFAST_GUARD.

# far_base: sets $base to this process's cgroup if children can be made in it, else to ""; $mount to the cgroup root.
far_base() {
  base='' mount=''
  while read -r id parent device root point rest; do
    case $rest in *' - cgroup2 '*) ;; *) continue ;; esac
    while IFS=: read -r number controllers path; do [ "$number" = 0 ] && base=$point${path%/} mount=$point; done </proc/self/cgroup
  done </proc/self/mountinfo
  [ -n "$base" ] && [ -e "$base/cgroup.procs" ] && mkdir "$base/holdfast-try.$$" 2>/dev/null || { base=''; return 0; }
  [ -e "$base/holdfast-try.$$/cgroup.kill" ] || base=''
  rmdir "${base:-/nowhere}/holdfast-try.$$" 2>/dev/null || :
}

# name_of MARK: sets $name to the name of this mark's cgroup.
name_of() {
  name=$1
  while :; do case $name in */*) name=${name%%/*}_${name#*/} ;; *) break ;; esac; done
  name=holdfast-far$name
}

# fence_of MARK: sets $fence to the path of this mark's cgroup.
fence_of() {
  name_of "$1"
  fence=$base/$name
}

# pids_of FILE...: sets $found to the pids in /proc/PID/environ.
pids_of() {
  found=''
  for file; do
    file=${file#/proc/}
    found="$found ${file%/environ}"
  done
}

# mine PREFIX: sets $alive to every live process of the runs with this mark prefix, without their guards.
mine() {
  pids_of $(grep -lsF -- "HOLDFAST_GUARD=$1" /proc/[0-9]*/environ)
  guards=$found
  pids_of $(grep -lsF -- "HOLDFAST_FAR=$1" /proc/[0-9]*/environ)
  roots=$found
  if [ -n "$base" ]; then
    fence_of "$1"
    for file in "$fence"*/cgroup.procs; do
      while read -r pid; do roots="$roots $pid"; done <"$file"
    done 2>/dev/null
  fi
  collect "$guards $roots"
  living $roots $tree
  # A guard's child has the guard's environment until its exec.
}

# end_now PREFIX: kills until these runs are empty. Returns 1 when something remains.
end_now() {
  rounds=0
  while [ $rounds -lt 300 ]; do
    if [ -n "$base" ]; then
      fence_of "$1"
      for file in "$fence"*/cgroup.kill; do echo 1 >"$file"; done 2>/dev/null
    fi
    mine "$1"
    if [ -z "$alive" ]; then
      # Twice, because a process may have moved between the two halves of a check.
      mine "$1"
      [ -n "$alive" ] || break
    fi
    kill -STOP $alive 2>/dev/null
    mine "$1"
    [ -z "$alive" ] || kill -KILL $alive 2>/dev/null
    rounds=$((rounds + 1))
    [ $rounds -lt 5 ] || sleep 0.05
  done
  [ $rounds -lt 300 ] || return 1
  [ -n "$base" ] || return 0
  fence_of "$1"
  for group in "$fence"*; do end_group "$group" || [ ! -d "$group" ] || return 1; done
}

# end_politely PREFIX TENTHS: SIGTERM, a delay in tenths of a second, then SIGKILL.
end_politely() {
  mine "$1"
  [ -z "$alive" ] || kill -TERM $alive 2>/dev/null
  waited=0
  while [ -n "$alive" ] && [ $waited -lt "$2" ]; do
    sleep 0.1
    waited=$((waited + 1))
    living $alive
    [ -n "$alive" ] || mine "$1"
  done
  end_now "$1"
}
