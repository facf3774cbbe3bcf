#!/usr/bin/env bash
# Starts a single-node Kubernetes cluster on this machine and prints its admin kubeconfig's path. See README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
guarded=; [ "${1:-}" = --while ] && { guarded=$2; shift 2; }
state=${1:-/var/lib/dev-kube}
files=${TYGER_KUBE_FILES:-${XDG_CACHE_HOME:-$HOME/.cache}/tyger/kube}
log_size=${DEV_KUBE_LOG_SIZE:-10Mi}
log_check=${DEV_KUBE_LOG_CHECK:-10s}
api_port=${DEV_KUBE_PORT:-16443}
etcd_port=${DEV_KUBE_ETCD_PORT:-12379}
kubeconfig=$state/admin.kubeconfig
node=dev-node

log() { echo "dev-kube: $*" >&2; }
need() { command -v "$1" >/dev/null || { log "needs $1 ($2)"; exit 1; }; }
alive() { [ -f "$state/run/$1.pid" ] && kill -0 "$(cat "$state/run/$1.pid")" 2>/dev/null; }
start() { # start NAME COMMAND...
  local name=$1; shift
  alive "$name" && return 0
  setsid "$@" >>"$state/log/$name.log" 2>&1 </dev/null 9>&- &
  echo $! >"$state/run/$name.pid"
}
wait_for() { # wait_for SECONDS WHAT COMMAND...
  local n=$(( $1 * 5 )) what=$2; shift 2
  for ((i = 0; i < n; i++)); do "$@" >/dev/null 2>&1 && return 0; sleep 0.2; done
  log "$what did not come up; see $state/log"; exit 1
}

[ "$(id -u)" = 0 ] || { log "must run as root"; exit 1; }
need etcd etcd-server; need containerd containerd; need runc runc; need iptables iptables; need ip iproute2
need openssl openssl; need xz xz-utils; need kubectl kubectl
need busybox busybox-static; need conntrack conntrack
[ -x /usr/lib/cni/bridge ] || { log "needs /usr/lib/cni/bridge (containernetworking-plugins)"; exit 1; }
if ! alive kube-apiserver && (: <"/dev/tcp/127.0.0.1/$api_port") 2>/dev/null; then
  log "another cluster runs on this machine: port $api_port is in use"; exit 1
fi
mkdir -p "$state"/{run,log,bin,pki,etcd,containerd,cni,manifests,kubelet}
# Two calls at a time would start everything twice. Nothing that is started may keep the lock.
exec 9>"$state/run/lock"; flock 9
if [ -n "$guarded" ]; then
  start guard bash -c 'tail --pid="$1" -f /dev/null; exec "$2/down.sh" --purge "$3"' guard "$guarded" "$here" "$state"
fi

if [ ! -x "$state/bin/kube" ]; then
  for f in kube.xz coredns.xz; do
    [ -f "$files/$f" ] || { log "'$files/$f' is missing: set TYGER_KUBE_FILES to its folder, or call build.sh"; exit 1; }
  done
  xz -dc "$files/kube.xz" >"$state/bin/kube.tmp"
  chmod +x "$state/bin/kube.tmp"; mv "$state/bin/kube.tmp" "$state/bin/kube"
  for c in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet; do ln -sf kube "$state/bin/$c"; done
  xz -dc "$files/coredns.xz" >"$state/bin/coredns.tmp"
  chmod +x "$state/bin/coredns.tmp"; mv "$state/bin/coredns.tmp" "$state/bin/coredns"
fi
if [ ! -s "$state/node-ip" ]; then
  # The address from which the machine speaks to others. One of a bridge, such as Docker's, can go away.
  node_ip=${DEV_KUBE_NODE_IP:-$(ip -4 route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p')}
  [ -n "$node_ip" ] || node_ip=$(ip -4 -o addr show scope global | awk '$2 !~ /^(docker|br-|devkube)/ {split($4,a,"/"); print a[1]; exit}')
  echo "$node_ip" >"$state/node-ip"
fi
node_ip=$(cat "$state/node-ip")
[ -n "$node_ip" ] || { log "found no address for the node; set DEV_KUBE_NODE_IP"; exit 1; }

# --- certificates and kubeconfigs
pki=$state/pki
if [ ! -f "$pki/done" ]; then
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=dev-kube-ca -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
  openssl genrsa -out "$pki/sa.key" 2048 2>/dev/null
  openssl rsa -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2>/dev/null
  cert() { # cert NAME SUBJECT [SAN]
    openssl req -newkey rsa:2048 -nodes -subj "$2" -keyout "$pki/$1.key" -out "$pki/$1.csr" 2>/dev/null
    openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 3650 -out "$pki/$1.crt" \
      -extfile <(printf 'extendedKeyUsage=serverAuth,clientAuth\n%s' "${3:+subjectAltName=$3}") 2>/dev/null
  }
  cert apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.96.0.1,IP:$node_ip"
  cert admin /O=system:masters/CN=admin
  cert controller-manager /CN=system:kube-controller-manager
  cert scheduler /CN=system:kube-scheduler
  cert proxy /CN=system:kube-proxy
  cert kubelet "/O=system:nodes/CN=system:node:$node" "DNS:$node,DNS:localhost,IP:127.0.0.1"
  touch "$pki/done"
fi
config() { # config FILE CERT
  kubectl --kubeconfig "$1" config set-cluster dev --server "https://127.0.0.1:$api_port" --certificate-authority "$pki/ca.crt" --embed-certs >/dev/null
  kubectl --kubeconfig "$1" config set-credentials user --client-certificate "$pki/$2.crt" --client-key "$pki/$2.key" --embed-certs >/dev/null
  kubectl --kubeconfig "$1" config set-context dev --cluster dev --user user >/dev/null
  kubectl --kubeconfig "$1" config use-context dev >/dev/null
}
config "$kubeconfig" admin
for c in controller-manager scheduler proxy kubelet; do config "$state/$c.kubeconfig" "$c"; done

# --- control plane
ETCD_UNSUPPORTED_ARCH= start etcd etcd --data-dir "$state/etcd" --unsafe-no-fsync \
  --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
  --listen-peer-urls http://127.0.0.1:$((etcd_port + 1)) --log-level warn
start kube-apiserver "$state/bin/kube-apiserver" --etcd-servers "http://127.0.0.1:$etcd_port" --secure-port "$api_port" \
  --bind-address 0.0.0.0 --advertise-address "$node_ip" \
  --service-cluster-ip-range 10.96.0.0/24 --authorization-mode Node,RBAC --allow-privileged \
  --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
  --kubelet-client-certificate "$pki/admin.crt" --kubelet-client-key "$pki/admin.key" \
  --service-account-key-file "$pki/sa.pub" --service-account-signing-key-file "$pki/sa.key" \
  --service-account-issuer https://kubernetes.default.svc --kubelet-preferred-address-types InternalIP,Hostname
wait_for 60 kube-apiserver kubectl --kubeconfig "$kubeconfig" get --raw /readyz
start kube-controller-manager "$state/bin/kube-controller-manager" --kubeconfig "$state/controller-manager.kubeconfig" \
  --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/ca.crt" --use-service-account-credentials \
  --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key" --leader-elect=false \
  --allocate-node-cidrs --cluster-cidr 10.244.0.0/16
start kube-scheduler "$state/bin/kube-scheduler" --kubeconfig "$state/scheduler.kubeconfig" --leader-elect=false

# --- node
cat >"$state/cni/10-dev.conflist" <<J
{"cniVersion":"0.4.0","name":"dev","plugins":[
 {"type":"bridge","bridge":"devkube0","isGateway":true,"ipMasq":true,"hairpinMode":true,
  "ipam":{"type":"host-local","dataDir":"$state/cni/ipam","ranges":[[{"subnet":"10.244.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
J
cat >"$state/containerd.toml" <<T
version = 2
root = "$state/containerd/root"
state = "/run/dev-kube-containerd"
[grpc]
  address = "$state/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "dev-kube/pause:1"
  restrict_oom_score_adj = true # works without CAP_SYS_RESOURCE too
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$state/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
T
# Docker drops what it does not forward itself, also between pods where the kernel filters bridges.
for way in -i -o; do
  iptables -w -C FORWARD $way devkube0 -j ACCEPT 2>/dev/null || iptables -w -I FORWARD $way devkube0 -j ACCEPT
done
start containerd containerd --config "$state/containerd.toml"
wait_for 20 containerd ctr -a "$state/run/containerd.sock" version
if ! ctr -a "$state/run/containerd.sock" -n k8s.io images ls -q | grep -q '^docker.io/dev-kube/pause:1\|^dev-kube/pause:1'; then
  "$here/pause-image.sh" "$state/pause.tar"
  ctr -a "$state/run/containerd.sock" -n k8s.io images import "$state/pause.tar" >/dev/null
fi
cat >"$state/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/kubelet.crt
tlsPrivateKeyFile: $pki/kubelet.key
containerRuntimeEndpoint: unix://$state/run/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
maxPods: 250
serializeImagePulls: false
podPidsLimit: 4096
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
clusterDomain: cluster.local
clusterDNS: ["$node_ip"]
resolvConf: /etc/resolv.conf
staticPodPath: $state/manifests
registerWithTaints: []
kubeAPIQPS: 100
kubeAPIBurst: 200
containerLogMaxSize: $log_size
containerLogMonitorInterval: $log_check
Y
cat >"$state/Corefile" <<C
cluster.local:53 {
  bind $node_ip
  kubernetes cluster.local { kubeconfig $kubeconfig dev
    ttl 1
  }
}
.:53 {
  bind $node_ip
  forward . /etc/resolv.conf
}
C
start coredns "$state/bin/coredns" -conf "$state/Corefile"
cat >"$state/kube-proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $state/proxy.kubeconfig}
hostnameOverride: $node
clusterCIDR: 10.244.0.0/16
mode: iptables
conntrack: {maxPerCore: 0}
Y
start kube-proxy "$state/bin/kube-proxy" --config "$state/kube-proxy.yaml"
start kubelet "$state/bin/kubelet" --config "$state/kubelet.yaml" --kubeconfig "$state/kubelet.kubeconfig" \
  --root-dir "$state/kubelet" --hostname-override "$node" --node-ip "$node_ip"
wait_for 60 "node $node" kubectl --kubeconfig "$kubeconfig" get node "$node"
wait_for 60 "node $node (Ready)" bash -c "kubectl --kubeconfig '$kubeconfig' get node $node -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].status}' | grep -q True"
kubectl --kubeconfig "$kubeconfig" label node "$node" nodepool=default --overwrite >/dev/null
wait_for 30 "the default service account" kubectl --kubeconfig "$kubeconfig" -n default get serviceaccount default
echo "$kubeconfig"
