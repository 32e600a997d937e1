# The apt repository of the mirror: the packages that roles install on nodes, and what these need beyond the root
# image, signed.
. "$RECIPES/lib.sh"
. "$RECIPES/layers.sh"
deb_closure trixie "$DEP_rootfs/status" $PACKAGES
mkdir "$OUT/apt"
mv debs/*.deb "$OUT/apt/"
cd "$OUT/apt"
apt-ftparchive packages . >Packages
apt-ftparchive -o APT::FTPArchive::Release::Origin='EGI Notebooks lab' -o APT::FTPArchive::Release::Label=lab \
    release . >release.new
mkdir -m 700 home
gpg --homedir home --batch --quiet --import "$DEP_apt_key/secret.gpg"
gpg --homedir home --batch --quiet --clearsign --digest-algo SHA512 --output InRelease release.new
gpgconf --homedir home --kill all
rm -rf home release.new
