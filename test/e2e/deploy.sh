# The image and the compose files of deploy/. Run by run.sh.

echo "# the container itself"
must [ "$(docker run --rm registry:2 cat /etc/distribution/config.yml | grep -c 'rootdirectory: /var/lib/registry')" = 1 ]
docker run --rm registry:2 --help | grep serve > /dev/null
docker run --rm registry:2 registry config check /etc/docker/registry/config.yml
mkdir -m 700 owned && chown 1234:1234 owned
docker run -d -p 5000:5000 --name owned -v "$work/owned:/var/lib/registry" registry:2
docker run -d -p 5001:5000 --name user --user 4321 --read-only --tmpfs /tmp --tmpfs /var/lib/registry:mode=1777 registry:2
docker run -d -p 5002:5000 --name fresh registry:2
for port in 5000 5001 5002; do ready http://localhost:$port/v2/; docker tag myapp localhost:$port/myapp; docker push localhost:$port/myapp > /dev/null; done
must [ "$(docker top owned -o uid | tail -1 | tr -d ' ')" = 1234 ]
must [ "$(stat --format %u owned/docker)" = 1234 ]
must [ "$(docker top user -o uid | tail -1 | tr -d ' ')" = 4321 ]
must [ "$(docker top fresh -o uid | tail -1 | tr -d ' ')" = 10001 ]
for name in owned user fresh; do must docker exec $name registry healthcheck; done
docker kill --signal STOP fresh > /dev/null 2>&1 || true
gone owned; gone user; gone fresh

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
