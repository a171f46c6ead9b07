// An install script that does what a package's own code may: anything. PLACE comes before this line.
const fs = require("fs");

function tries(action) {
  try {
    action();
    return true;
  } catch {
    return false;
  }
}

const mine = new Set([1, process.pid]);
let parent = process.ppid;
while (parent > 1) {
  mine.add(parent);
  parent = Number(fs.readFileSync(`/proc/${parent}/stat`, "utf8").split(")").pop().trim().split(" ")[1]);
}
const seen = {
  uid: process.getuid(),
  secret: fs.existsSync(`${PLACE}/secret`),
  wrote: ["/", "/etc", "/usr", "/usr/lib", "/root", "/home", "/var", PLACE].filter((path) =>
    tries(() => fs.writeFileSync(`${path}/mote-wrote-this`, "")),
  ),
  "pids of others": fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name) && !mine.has(Number(name))).map(Number),
};
fs.writeFileSync("/code/node_modules/seen.json", JSON.stringify(seen));
