/**
 * All that an engine needs once there is an identity, or one is being made. Who opens the page for
 * the first time sees it before any of this is loaded.
 */

export { contactCode } from "../e2ee/link";
export { makeRecoveryCode } from "../e2ee/recovery";
export { exportAll, importAll, inspectExport } from "./exporting";
export { establish, MAX_NAME, Own } from "./own";
export { parsedCode } from "./queries";
export { Running } from "./running";
