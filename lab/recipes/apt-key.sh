# The key that signs the lab's apt repository: made once, trusted by the nodes' root image.
. "$RECIPES/lib.sh"
mkdir -m 700 home
gpg --homedir home --batch --quiet --passphrase '' --quick-generate-key 'EGI Notebooks lab archive' ed25519 sign never
gpg --homedir home --batch --export-secret-keys >"$OUT/secret.gpg"
gpg --homedir home --batch --armor --export >"$OUT/lab-archive-keyring.asc"
gpgconf --homedir home --kill all
