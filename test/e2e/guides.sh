# The commands of the guides that people learn registries from, unchanged. Run by run.sh; a line that begins with + in the output
# is a command of a guide.

# Runs a command of a guide as it stands there, with what a person would type at its prompts.
guide() {
  echo "+ $1"
  if [ $# -eq 1 ]; then eval "$1"; else type_slowly "${@:2}" | script --quiet --return --command "$1" /dev/null; fi
}
# Programs that ask for a password throw away what was typed before they asked.
type_slowly() {
  for line in "$@"; do sleep 0.5; echo "$line"; done
  sleep 1
}

guide 'docker build -t myapp:v1.0 .' > /dev/null
for tag in myapp myapp:1.0 secureapp:1.0 nginx:alpine local-image; do docker tag myapp:v1.0 $tag; done

echo "# a local registry"
guide 'docker run -d \
  -p 5000:5000 \
  --name registry \
  registry:2'
ready
guide 'docker tag myapp localhost:5000/myapp:v1'
guide 'docker push localhost:5000/myapp:v1'
docker rmi localhost:5000/myapp:v1 > /dev/null
guide 'docker pull localhost:5000/myapp:v1'
must [ "$(docker run --rm localhost:5000/myapp:v1)" = hello ]
guide 'docker login localhost:5000' anyone anything # guide 4 signs in where nobody asks for it
guide 'docker tag secureapp:1.0 localhost:5000/secureapp:1.0'
guide 'docker push localhost:5000/secureapp:1.0'
guide 'docker pull localhost:5000/secureapp:1.0'
guide 'docker logout localhost:5000'
for tag in 1.0.0 1.0 1 latest "$(git -C "$root" rev-parse --short HEAD 2> /dev/null || echo abc123f)" main feature-login build-456 2024-01-15 20240115-143052; do
  guide "docker tag myapp localhost:5000/myapp:$tag"
done
guide 'docker push localhost:5000/myapp --all-tags' > /dev/null
docker images --quiet localhost:5000/myapp | sort -u | xargs --no-run-if-empty docker rmi --force > /dev/null
guide 'docker build -t myapp .' > /dev/null
docker tag myapp local-image
guide 'docker pull --all-tags localhost:5000/myapp' > /dev/null
must [ "$(docker images --quiet localhost:5000/myapp | wc -l)" = 11 ]
guide 'docker images --digests' | grep 'localhost:5000/myapp.*sha256:'
guide "docker inspect --format='{{.RepoDigests}}' localhost:5000/myapp:1.0" | tee digests
digest=$(grep -o 'localhost:5000/myapp@sha256:[0-9a-f]*' digests)
guide "docker pull $digest"
guide 'docker history localhost:5000/myapp:1.0' > /dev/null
must [ "$(docker inspect --format '{{.State.Health.Status}}' registry)" != unhealthy ]
gone registry

echo "# a folder of images, kept from one container to the next"
guide 'docker run -d -p 5000:5000 \
  --name registry \
  -v /mnt/registry:/var/lib/registry \
  registry:2'
ready
guide 'docker tag myapp localhost:5000/myapp:v1.0'
guide 'docker push localhost:5000/myapp:v1.0'
must test -d /mnt/registry/docker/registry/v2/blobs/sha256
docker stop registry > /dev/null
gone registry
guide 'docker run -d \
  --name registry \
  -p 5000:5000 \
  -v /mnt/registry:/var/lib/registry \
  --restart always \
  registry:2'
ready
docker rmi localhost:5000/myapp:v1.0 > /dev/null
guide 'docker pull localhost:5000/myapp:v1.0'
gone registry

echo "# users"
guide 'mkdir auth && htpasswd -Bc auth/htpasswd user1' secret secret
guide 'docker run -d \
  -p 5000:5000 \
  -v $(pwd)/auth:/auth \
  -e REGISTRY_AUTH=htpasswd \
  -e REGISTRY_AUTH_HTPASSWD_REALM="Registry Realm" \
  -e REGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd \
  registry:2' | tee container
ready
must [ "$(curl --silent --output /dev/null --write-out '%{http_code}' http://localhost:5000/v2/)" = 401 ]
refused docker push localhost:5000/myapp:v1.0
refused docker login localhost:5000 --username user1 --password wrong
guide 'docker login localhost:5000' user1 secret
guide 'docker push localhost:5000/myapp:v1.0'
guide 'cat ~/.docker/config.json'
# imagePullSecrets: what `kubectl create secret docker-registry` keeps is this file, and a kubelet sends the pair in it.
auth=$(grep -o '"auth": *"[^"]*"' "$HOME/.docker/config.json" | cut -d '"' -f 4)
secret=$(base64 --wrap 0 < "$HOME/.docker/config.json")
must [ "$(base64 --decode <<< "$secret" | grep -c "$auth")" = 1 ]
must [ "$(curl --silent --output /dev/null --write-out '%{http_code}' --user "$(base64 --decode <<< "$auth")" http://localhost:5000/v2/myapp/manifests/v1.0)" = 200 ]
guide 'docker logout localhost:5000'
refused docker pull localhost:5000/myapp:v1.0
gone "$(tail -1 container)"

guide 'docker run --rm \
  --entrypoint htpasswd \
  httpd:2 -Bbn myuser mypassword > /auth/htpasswd'
guide 'docker run -d \
  --name registry \
  -p 5000:5000 \
  -v registry_data:/var/lib/registry \
  -v /auth:/auth \
  -e "REGISTRY_AUTH=htpasswd" \
  -e "REGISTRY_AUTH_HTPASSWD_REALM=Registry Realm" \
  -e "REGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd" \
  registry:2'
ready
guide 'docker login localhost:5000' myuser mypassword
guide 'docker push localhost:5000/myapp:v1.0'
docker logout localhost:5000 > /dev/null
gone registry
guide 'docker run -d -p 5000:5000 --name registry \
         -v $(pwd)/auth:/auth \
         -e "REGISTRY_AUTH=htpasswd" \
         -e "REGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd" \
         registry:2' # registry:2 does not start without a realm
ready
guide 'docker login localhost:5000' user1 secret
docker logout localhost:5000 > /dev/null
gone registry

echo "# a configuration file"
cat > config.yml <<'CONFIG'
version: 0.1
storage:
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
auth:
  htpasswd:
    realm: basic-realm
    path: /auth/htpasswd
CONFIG
for place in /etc/docker/registry/config.yml /etc/distribution/config.yml; do
  docker run -d -p 5000:5000 --name registry -v /auth:/auth -v "$work/config.yml:$place" registry:2
  ready
  must [ "$(curl --silent --head http://localhost:5000/v2/ | grep -ic 'www-authenticate: Basic realm="basic-realm"')" = 1 ]
  docker login registry.example.com:5000 --username myuser --password mypassword > /dev/null 2>&1 # an insecure registry
  docker tag myapp registry.example.com:5000/myapp:latest
  guide 'docker push registry.example.com:5000/myapp:latest'
  gone registry
done

echo "# a name and a certificate"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=registry.example.com \
  -addext subjectAltName=DNS:registry.example.com -keyout key.pem -out certs/registry.example.com/ca.crt 2> /dev/null
docker run -d -p 443:443 --name registry -v /auth:/auth -v "$work/certs/registry.example.com/ca.crt:/certs/cert.pem" -v "$work/key.pem:/certs/key.pem" \
  -e REGISTRY_HTTP_ADDR=0.0.0.0:443 -e REGISTRY_HTTP_TLS_CERTIFICATE=/certs/cert.pem -e REGISTRY_HTTP_TLS_KEY=/certs/key.pem \
  -e REGISTRY_AUTH=htpasswd -e REGISTRY_AUTH_HTPASSWD_REALM=Registry -e REGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd registry:2
ready https://registry.example.com/v2/
guide 'docker login registry.example.com' myuser mypassword
docker logout registry.example.com > /dev/null
TOKEN=mypassword
guide 'echo $TOKEN | docker login -u myuser --password-stdin registry.example.com'
guide 'docker tag local-image:latest registry.example.com/myimage:v1.0'
guide 'docker push registry.example.com/myimage:v1.0'
docker tag local-image:latest registry.example.com/myimage:v1.1
guide 'docker push registry.example.com/myimage --all-tags'
guide 'docker pull registry.example.com/myimage:v1.0'
guide 'docker pull --all-tags registry.example.com/myimage'
guide 'docker logout registry.example.com'
gone registry
