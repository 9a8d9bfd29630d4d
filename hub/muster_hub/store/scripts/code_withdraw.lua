#!lua flags=allow-oom
-- Withdraws a code that no device has used.
-- KEYS: 1 codes
-- ARGV: 1 not_after (ms), 2 hash of the code
-- Effect: the code is forgotten.
-- Returns: 1.
-- Errors: not_enrolled (there is no such code), code_used.
-- Again: there is no such code.
local codes = unpack(KEYS)
local _, hash = unpack(ARGV)

local row = row_in(codes, hash)
if not row then
  return refuse('not_enrolled')
elseif row[CODE.used_by] ~= '' then
  return refuse('code_used')
end
redis.call('HDEL', codes, hash)
return 1
