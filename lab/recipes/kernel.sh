# The nodes' kernel: User-Mode Linux from Debian's kernel source, with the lab's options and its one-line change.
# `linux-unpatched`, the same without the change, is for the test that shows what it is good for.
. "$RECIPES/lib.sh"
debs sid "linux-source-$VERSION"
tar -xf "root/usr/src/linux-source-$VERSION.tar.xz"
cd "linux-source-$VERSION"
make ARCH=um defconfig
scripts/kconfig/merge_config.sh -m .config "$LAB/kernel/node.config"
make ARCH=um olddefconfig
make ARCH=um -j"$JOBS" linux
install -s linux "$OUT/linux-unpatched"
patch -p1 <"$LAB/kernel/epoll-one-event.patch"
make ARCH=um -j"$JOBS" linux
install -s linux "$OUT/linux"
cp .config "$OUT/config"
