# The layer with iptables: flannel asks for it even where it writes nftables rules, to clear away old ones.
. "$RECIPES/lib.sh"
. "$RECIPES/layers.sh"
deb_layer trixie "$DEP_base/status" iptables
# Packages' scripts do not run here: the names that update-alternatives would make.
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -sf xtables-nft-multi "root/usr/sbin/$name"
done
pack_layer
