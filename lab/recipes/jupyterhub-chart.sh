# The lab's own chart under the official one's name and version, packed as `helm package` would.
. "$RECIPES/lib.sh"
cp -r "$LAB/charts/jupyterhub" jupyterhub
sed -i "s/^version:.*/version: $VERSION/" jupyterhub/Chart.yaml
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -c jupyterhub | gzip -n >"$OUT/jupyterhub-$VERSION.tgz"
