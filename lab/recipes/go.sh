# A static program (PROGRAM) from the Go module proxy: PACKAGE of MODULE at VERSION.
. "$RECIPES/lib.sh"
go_program "$MODULE@v${VERSION#v}" "$PACKAGE" "$OUT/$PROGRAM" "-X github.com/prometheus/common/version.Version=${VERSION#v}"
