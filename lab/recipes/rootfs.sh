# The nodes' root disk: what a bare Debian cloud image has, and in place of cloud-init the lab's seed (see ../rootfs).
. "$RECIPES/lib.sh"
packages=systemd-sysv,dbus,udev,openssh-server,python3,python3-apt,iproute2,nftables,kmod,procps,ca-certificates
packages+=,e2fsprogs,xfsprogs,curl,less,sudo
mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    trixie root "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_uri) trixie main"
cp root/var/lib/dpkg/status "$OUT/status"
# Of the build machine, of no use on a node, or each node's own.
rm -f root/etc/apt/sources.list root/etc/apt/sources.list.d/* root/etc/ssh/ssh_host_* root/etc/hostname \
    root/etc/resolv.conf root/var/lib/dbus/machine-id
rm -rf root/var/lib/apt/lists root/var/cache/apt/* root/var/log/* root/etc/dpkg/dpkg.cfg.d/99mmdebstrap
mkdir -p root/var/lib/apt/lists/partial root/var/cache/apt/archives/partial root/var/log/journal
# Package lists are empty: let nobody take them for fresh.
touch -d @0 root/var/lib/apt/lists
: >root/etc/machine-id
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n' >root/etc/hosts
cp -r --no-preserve=ownership "$LAB/rootfs/." root/
install -m 644 "$DEP_apt_key/lab-archive-keyring.asc" root/usr/share/keyrings/lab-archive-keyring.asc
chroot root systemctl --quiet enable lab-seed.service systemd-networkd.service
chroot root systemctl --quiet disable getty@tty1.service
# Timers that a short-lived node does without: they would take its one core or the package lock at a random moment.
chroot root systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer \
    dpkg-db-backup.timer systemd-networkd-wait-online.service getty-static.service
du -sm root
truncate -s 12G "$OUT/root.img"
# Tables are written now: a node would do it in the background, into its copy-on-write file.
mkfs.ext4 -q -L root -i 32768 -m 1 -E lazy_itable_init=0,lazy_journal_init=0,nodiscard -d root "$OUT/root.img"
fallocate --dig-holes "$OUT/root.img"
