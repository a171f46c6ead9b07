// Imported by a standby so that Node's loader of ES modules is up. See standby.cjs.
export {};
