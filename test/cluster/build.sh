#!/usr/bin/env bash
# Builds kube.xz from build/, and coredns.xz, in the folder of the binaries (Go 1.26, about 15 minutes on two cores).
set -euo pipefail
files=${TYGER_KUBE_FILES:-${XDG_CACHE_HOME:-$HOME/.cache}/tyger/kube}
mkdir -p "$files"
files=$(cd "$files" && pwd)
cd "$(dirname "$0")/build"
version=v1.34.4
pkg=k8s.io/component-base/version
CGO_ENABLED=0 go build -trimpath -o "$files/kube" \
  -ldflags "-s -w -X $pkg.gitVersion=$version -X $pkg.gitMajor=1 -X $pkg.gitMinor=34" .
GOBIN=$files CGO_ENABLED=0 go install -ldflags '-s -w' github.com/coredns/coredns@v1.12.4
for f in kube coredns; do
  xz -T0 -6 "$files/$f" --stdout >"$files/$f.xz.tmp"
  mv "$files/$f.xz.tmp" "$files/$f.xz"
  rm "$files/$f"
done
