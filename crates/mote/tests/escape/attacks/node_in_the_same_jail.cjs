// What JavaScript can reach without any library: files, processes, sockets, native code.
const child = require('child_process');
const fs = require('fs');
const net = require('net');
const os = require('os');

const reached = (host, port) =>
  new Promise((done, failed) => {
    const line = net.connect({ host, port, timeout: 2000 }, () => line.write('GET / HTTP/1.0\r\n\r\n'));
    line.on('data', (said) => { done(`done: ${said}`); line.destroy(); });
    for (const end of ['error', 'timeout', 'close']) line.on(end, (error) => { failed(error || new Error(end)); line.destroy(); });
  });

const ran = (...words) => {
  const { status, signal, error, stdout } = child.spawnSync(words[0], words.slice(1), { timeout: 3000 });
  if (status !== 0) throw error || new Error(`${status} ${signal}`);
  return stdout;
};

module.exports = async function attack(server, control) {
  process.title = process.env.MARK;
  const tries = {
    code: () => fs.writeFileSync('/code/more.cjs', 'x'),
    runner: () => fs.appendFileSync('/runner/main.cjs', 'x'),
    etc: () => fs.writeFileSync('/etc/hosts', 'x'),
    shadow: () => fs.readFileSync('/etc/shadow'),
    environ: () => fs.readFileSync('/proc/1/environ').length || (() => { throw new Error('empty'); })(),
    root: () => fs.readdirSync('/proc/1/root'),
    server: () => process.kill(server, 'SIGKILL'),
    init: () => { process.kill(1, 'SIGKILL'); process.kill(1, 0); throw new Error('it lives'); },
    setuid: () => process.setuid(0),
    setgid: () => process.setgid(0),
    groups: () => process.setgroups([0]),
    priority: () => os.setPriority(0, -20),
    unshare: () => ran('unshare', '-Ur', 'true'),
    mount: () => ran('mount', '-t', 'tmpfs', 'none', '/tmp'),
    chroot: () => ran('chroot', '/tmp', '/bin/true'),
    su: () => ran('su', '-c', 'true'),
    debug: () => process.dlopen({ exports: {} }, '/usr/lib/none.node'),
    control: () => reached(...control.split(':')),
    metadata: () => reached('169.254.169.254', 80),
    private: () => reached('10.0.0.5', 80),
    loopback: () => reached('::ffff:127.0.0.1', Number(control.split(':')[1])),
  };
  const found = {};
  for (const [name, attempt] of Object.entries(tries)) {
    try {
      found[name] = `done: ${String(await attempt()).slice(0, 200)}`;
    } catch (error) {
      found[name] = error.code || String(error).slice(0, 100);
    }
  }
  return found;
};
