# Keycloak as upstream publishes it, unpacked.
. "$RECIPES/lib.sh"
repository=$CACHE/downloads/m2
mvn -q -Dmaven.repo.local="$repository" dependency:get -Dtransitive=false \
    -Dartifact="org.keycloak:keycloak-quarkus-dist:$VERSION:zip"
unzip -q "$repository/org/keycloak/keycloak-quarkus-dist/$VERSION/keycloak-quarkus-dist-$VERSION.zip"
cp -a "keycloak-$VERSION/." "$OUT/"
# Built for the lab's settings here, once, not at the first start (lab/checkin.py: _BUILD).
JAVA_OPTS_APPEND="-XX:TieredStopAtLevel=1 -XX:-UseG1GC -XX:+UseSerialGC" \
    "$OUT/bin/kc.sh" build --db=dev-file --http-relative-path=/auth
