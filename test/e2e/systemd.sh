# The unit of deploy/, started by a systemd that is the first process of a container. Run by run.sh.

echo "# systemd"
"$here/base-image.sh" systemd-base sh dash env ls cat stat dirname readlink uname mkdir chown id systemctl /lib/systemd/systemd \
  "$work"/context/opt/holdfast/node_modules/node-linux-*/bin/node
units=usr/lib/systemd/system
mkdir -p machine/{etc/systemd/system/multi-user.target.wants,$units}
cp -a /lib/systemd/systemd* machine/usr/lib/systemd/
for target in basic sysinit sockets timers paths slices shutdown umount final multi-user network network-online; do
  cp "/lib/systemd/system/$target.target" machine/$units/
done
ln -s multi-user.target machine/$units/default.target
cp "$root/deploy/systemd/holdfast.service" machine/etc/systemd/system/
ln -s ../holdfast.service machine/etc/systemd/system/multi-user.target.wants/
echo 'holdfast:x:900:' > machine/etc/group
printf 'root:x:0:0:root:/root:/bin/sh\nholdfast:x:900:900::/:/bin/sh\n' > machine/etc/passwd
printf 'FROM systemd-base\nCOPY context /\nCOPY machine /\n' > Dockerfile.systemd
printf '*\n!context\n!machine\n' > .dockerignore
docker build --tag machine --file Dockerfile.systemd . > build.log 2>&1 || { cat build.log; false; }
docker run -d --name machine --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined --network host --cgroupns host --tmpfs /run --tmpfs /run/lock -v /sys/fs/cgroup:/sys/fs/cgroup \
  --env container=docker machine /usr/lib/systemd/systemd --log-target=console --log-level=info
ready || { docker logs machine; docker exec machine systemctl status holdfast; false; }
docker exec machine systemctl status holdfast
docker tag myapp localhost:5000/served
docker push localhost:5000/served > /dev/null
must [ "$(docker exec machine stat --format %U /var/lib/registry/docker)" = holdfast ]
docker exec machine systemctl restart holdfast
ready
docker rmi localhost:5000/served > /dev/null
docker pull localhost:5000/served > /dev/null
docker exec machine systemctl stop holdfast
must [ "$(docker exec machine systemctl show --property Result,ExecMainStatus holdfast | tr '\n' ' ')" = "Result=success ExecMainStatus=0 " ]
gone machine
