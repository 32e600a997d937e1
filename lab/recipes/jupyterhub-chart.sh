# The lab's own chart as the file that the official one's release is, packed as `helm package` would; +lab says so.
. "$RECIPES/lib.sh"
cp -r "$LAB/charts/jupyterhub" jupyterhub
sed -i "s/^version:.*/version: $VERSION+lab/" jupyterhub/Chart.yaml
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -c jupyterhub | gzip -n >"$OUT/jupyterhub-$VERSION.tgz"
