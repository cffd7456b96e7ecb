/** The settings and the network panel; loaded when they are first opened. */

export { Network } from "./network";
export { Settings } from "./settings";
