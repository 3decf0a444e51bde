# The image and the compose files of deploy/. Run by run.sh.

echo "# the container itself"
must [ "$(docker run --rm registry:2 cat /etc/distribution/config.yml | grep -c 'rootdirectory: /var/lib/registry')" = 1 ]
docker run --rm registry:2 --help | grep serve > /dev/null
docker run --rm registry:2 registry config check /etc/docker/registry/config.yml
mkdir -m 700 owned users && chown 1234:1234 owned && chown 4321 users
docker run -d -p 5000:5000 --name owned -v "$work/owned:/var/lib/registry" registry:2
docker run -d -p 5001:5000 --name user --user 4321 --read-only -v "$work/users:/var/lib/registry" registry:2
docker run -d -p 5002:5000 --name fresh registry:2
for port in 5000 5001 5002; do ready http://localhost:$port/v2/; docker tag myapp localhost:$port/myapp; docker push localhost:$port/myapp > /dev/null; done
must [ "$(docker top owned -o pid,uid | tail -1 | awk "{print \$2}")" = 1234 ]
must [ "$(stat --format %u owned/docker)" = 1234 ]
must [ "$(docker top user -o pid,uid | tail -1 | awk "{print \$2}")" = 4321 ]
must [ "$(docker top fresh -o pid,uid | tail -1 | awk "{print \$2}")" = 10001 ]
for name in owned user fresh; do must docker exec $name registry healthcheck; done
docker kill --signal STOP fresh > /dev/null 2>&1 || true
gone owned; gone user; gone fresh

echo "# from registry:2 to us and back, as the README says"
mkdir theirs
cp "$(command -v docker-registry)" theirs/registry
"$here/base-image.sh" theirs-base "$PWD/theirs/registry"
cat > theirs/config.yml <<'CONFIG'
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}, delete: {enabled: true}}
http: {addr: ":5000"}
CONFIG
printf 'FROM theirs-base\nCOPY . /\nVOLUME /var/lib/registry\nENTRYPOINT ["/registry"]\nCMD ["serve", "/config.yml"]\n' > theirs/Dockerfile
docker build --tag theirs theirs > build.log 2>&1 || { cat build.log; false; }
for tag in one two three; do docker tag myapp localhost:5000/team/app:$tag; done
pull() { docker rmi "localhost:5000/$1" > /dev/null 2>&1 || true; docker pull "localhost:5000/$1" > /dev/null; }
docker run -d -p 5000:5000 --name registry --restart=always theirs
ready
docker push localhost:5000/team/app:one > /dev/null
docker update --restart=no registry > /dev/null && docker stop registry > /dev/null
docker run -d -p 5000:5000 --name holdfast --restart=always --volumes-from registry holdfast
ready
pull team/app:one
docker push localhost:5000/team/app:two > /dev/null
docker update --restart=no holdfast > /dev/null && docker stop -t 60 holdfast > /dev/null
docker update --restart=always registry > /dev/null && docker start registry
ready
pull team/app:one && pull team/app:two
docker tag myapp localhost:5000/team/app:three
docker push localhost:5000/team/app:three > /dev/null
docker stop registry > /dev/null
docker start holdfast
ready
pull team/app:three
gone holdfast; gone registry

echo "# compose"
compose() { docker-compose --project-name "$1" --file "$root/deploy/compose/$2" "${@:3}"; }
compose one compose.yml up --detach
ready
docker tag myapp localhost:5000/composed
docker push localhost:5000/composed > /dev/null
compose one compose.yml restart
ready
docker rmi localhost:5000/composed > /dev/null
docker pull localhost:5000/composed > /dev/null
compose one compose.yml down --volumes

mkdir -p compose/auth
cp "$root/deploy/compose/compose.auth.yml" compose/
htpasswd -Bbc compose/auth/htpasswd ann secret
docker-compose --project-directory compose --file compose/compose.auth.yml up --detach
ready
refused docker push localhost:5000/composed
docker login localhost:5000 --username ann --password secret > /dev/null 2>&1
docker push localhost:5000/composed > /dev/null
docker-compose --project-directory compose --file compose/compose.auth.yml down --volumes
docker logout localhost:5000 > /dev/null
