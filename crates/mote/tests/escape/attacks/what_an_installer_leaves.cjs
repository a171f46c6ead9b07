// Follows what the install script planted: nothing of it may lead out of the jail.
const fs = require('fs');
module.exports = function follow() {
  process.title = process.env.MARK;
  const found = {};
  const tried = (name, work) => {
    try { found[name] = `done: ${String(work()).slice(0, 100)}`; } catch (error) { found[name] = error.code || String(error); }
  };
  tried('shadow', () => fs.readFileSync('/code/shadow'));
  tried('data', () => fs.readdirSync('/code/top/root'));
  tried('home', () => fs.readdirSync('/code/up/home'));
  tried('init', () => fs.readdirSync('/code/init/etc'));
  tried('passwd of the host', () => { const text = fs.readFileSync('/code/passwd', 'utf8'); if (!text.includes('daemon')) throw new Error('the jail\'s own'); return text; });
  tried('setuid', () => { if (!(fs.statSync('/code/shell').mode & 0o6000)) throw new Error('no such bit'); return 'it has the bit'; });
  tried('written', () => fs.writeFileSync('/code/more', 'x'));
  return found;
};
