-- The node that a stored parcel was offered to last: the next offer goes to another one.
ALTER TABLE parcel ADD COLUMN asked BLOB;
