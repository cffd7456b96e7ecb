/** What a receipt says of the contents that it names. */
export const DELIVERED = 1;
/** Says delivered too. */
export const READ = 2;
