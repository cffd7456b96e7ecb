/** People: adding them, strangers who ask, and everything about one of them. */

export { AddContact } from "./add-contact";
export { Person } from "./person";
export { Requests } from "./requests";
