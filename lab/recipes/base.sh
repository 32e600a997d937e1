# The layer below every image that is more than one static program: libc, nftables (kube-proxy, flannel), busybox as
# the shell and tools, tini, the public certificate authorities.
. "$RECIPES/lib.sh"
. "$RECIPES/layers.sh"
: >nothing
deb_layer trixie nothing base-files libc6 nftables busybox-static tini
mkdir -p certificates "$OUT" root/{dev,proc,sys,tmp,home/jovyan,etc/ssl/certs}
# Without its dependencies: the bundle needs no openssl.
(cd certificates && debs trixie ca-certificates)
cat certificates/root/usr/share/ca-certificates/mozilla/*.crt >root/etc/ssl/certs/ca-certificates.crt
busybox=root/usr/bin/busybox
for applet in $("$busybox" --list); do
    if [ ! -e "root/usr/bin/$applet" ] && [ ! -e "root/usr/sbin/$applet" ]; then
        ln -s busybox "root/usr/bin/$applet"
    fi
done
cat >root/etc/passwd <<'PASSWD'
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
jovyan:x:1000:100::/home/jovyan:/bin/sh
PASSWD
cat >root/etc/group <<'GROUP'
root:x:0:
users:x:100:
jovyan:x:1000:
nogroup:x:65534:
GROUP
echo 'hosts: files dns' >root/etc/nsswitch.conf
chmod 1777 root/tmp
chown 1000:100 root/home/jovyan
pack_layer
cp status "$OUT/status"
