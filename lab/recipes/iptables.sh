# The layer of what speaks with packet filters: iptables, which flannel asks for even where it writes nftables rules, to
# clear away old ones; and the protocols' names (netbase), without which kube-proxy does not know its own rules again and
# deletes them, each hour and when it starts anew.
. "$RECIPES/lib.sh"
. "$RECIPES/layers.sh"
deb_layer trixie "$DEP_base/status" iptables netbase
# Packages' scripts do not run here: the names that update-alternatives would make.
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -sf xtables-nft-multi "root/usr/sbin/$name"
done
pack_layer
