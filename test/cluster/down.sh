#!/usr/bin/env bash
# Stops the cluster that up.sh started (--purge: and removes its state). See README.md.
set -uo pipefail
purge=; [ "${1:-}" = --purge ] && { purge=1; shift; }
state=${1:-/var/lib/dev-kube}
stop() {
  local pid; pid=$(cat "$state/run/$1.pid" 2>/dev/null) || return 0
  [ "$pid" != $$ ] || return 0 # the guard itself, which calls this script
  [ "$1" != guard ] || kill -- "-$pid" 2>/dev/null # with the program by which it waits
  kill "$pid" 2>/dev/null; for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null; rm -f "$state/run/$1.pid"
}
[ -d "$state/run" ] || exit 0
# A call of up.sh that nobody waits for any more would start parts again.
exec 9>"$state/run/lock"; flock -w 180 9
stop guard
stop kubelet
if [ -S "$state/run/containerd.sock" ]; then
  for t in $(ctr -a "$state/run/containerd.sock" -n k8s.io tasks ls -q 2>/dev/null); do
    ctr -a "$state/run/containerd.sock" -n k8s.io tasks kill -s SIGKILL "$t" 2>/dev/null
  done
  sleep 0.5
fi
for c in coredns kube-proxy kube-scheduler kube-controller-manager kube-apiserver etcd containerd; do stop "$c"; done
for pid in $(pgrep -f "containerd-shim.*$state/run/containerd.sock" || true); do kill -9 "$pid" 2>/dev/null; done
# Without its own node, the bridge and the mounts would be those of another cluster.
if [ ! -f "$state/containerd.toml" ]; then [ -z "$purge" ] || rm -rf "$state"; exit 0; fi
awk -v s="$state" '$2 ~ "^"s || $2 ~ "^/run/dev-kube-containerd" {print $2}' /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null
ip link del devkube0 2>/dev/null
for way in -i -o; do iptables -w -D FORWARD $way devkube0 -j ACCEPT 2>/dev/null; done
if [ -n "$purge" ]; then
  # Rules for services and for the addresses of pods would stay forever.
  [ -x "$state/bin/kube-proxy" ] && "$state/bin/kube-proxy" --cleanup >/dev/null 2>&1
  ours=$(iptables -w -t nat -S 2>/dev/null | grep 'name: \\"dev\\"')
  # iptables quotes its rules for a shell.
  while read -r rule; do [ -z "$rule" ] || eval "iptables -w -t nat -D ${rule#-A }"; done <<<"$ours"
  for chain in $(grep -o 'CNI-[0-9a-f]\{24\}' <<<"$ours" | sort -u); do iptables -w -t nat -F "$chain" && iptables -w -t nat -X "$chain"; done
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null
  rm -rf "$state" /run/dev-kube-containerd
fi
exit 0
