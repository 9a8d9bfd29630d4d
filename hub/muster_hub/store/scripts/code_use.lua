#!lua
-- Spends a code on the first device that shows it.
-- KEYS: 1 codes
-- ARGV: 1 not_after (ms), 2 hash of the code, 3 client
-- Effect: the code is this device's.
-- Returns: the device that made it, '' for the operator.
-- Errors: not_enrolled (there is no such code), code_used (another device has it), code_expired.
-- Again: the device has it already, and the answer is the same.
local codes = unpack(KEYS)
local _, hash, client = unpack(ARGV)

local row = row_in(codes, hash)
if not row then
  return refuse('not_enrolled')
elseif row[CODE.used_by] ~= '' and row[CODE.used_by] ~= client then
  return refuse('code_used')
elseif now_ms - row[CODE.made_ms] >= CODE_MS then
  return refuse('code_expired')
end
row[CODE.used_by] = client
redis.call('HSET', codes, hash, cmsgpack.pack(row))
return row[CODE.by]
