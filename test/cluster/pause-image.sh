#!/usr/bin/env bash
# Writes an image archive of dev-kube/pause:1, a process that only waits, to $1 (docker-archive format, from busybox-static).
set -euo pipefail
out=$1; tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
busybox=$(command -v busybox || true)
[ -n "$busybox" ] || { echo "pause-image: needs busybox-static" >&2; exit 1; }
! ldd "$busybox" >/dev/null 2>&1 || { echo "pause-image: '$busybox' is not static; install busybox-static" >&2; exit 1; }
mkdir -p "$tmp/root/bin"; cp -L "$busybox" "$tmp/root/bin/busybox"
tar -C "$tmp/root" --owner 0 --group 0 -cf "$tmp/layer.tar" bin
sum=$(sha256sum "$tmp/layer.tar" | cut -d' ' -f1)
cat >"$tmp/config.json" <<J
{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/bin/busybox","sleep","2147483647"]},"rootfs":{"type":"layers","diff_ids":["sha256:$sum"]},"history":[{"created_by":"pause"}]}
J
echo '[{"Config":"config.json","RepoTags":["dev-kube/pause:1"],"Layers":["layer.tar"]}]' >"$tmp/manifest.json"
tar -C "$tmp" -cf "$out" manifest.json config.json layer.tar
