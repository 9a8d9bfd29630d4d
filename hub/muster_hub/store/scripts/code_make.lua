#!lua
-- Keeps a code that one device may show to be enrolled.
-- KEYS: 1 codes
-- ARGV: 1 not_after (ms), 2 hash of the code, 3 the device that made it ('': the operator)
-- Effect: the code counts for CODE_MS. Codes that ended a day ago are forgotten.
-- Returns: when it ends (ms, by this clock).
-- Errors: too_many_codes (MAX_CODES of the operator wait, the device made MAX_CODES_A_DAY in a day, or MAX_CODES_KEPT
--   are kept).
-- Again: the code is there already, and the answer is the same.
local codes = unpack(KEYS)
local _, hash, by = unpack(ARGV)

local known = row_in(codes, hash)
if known then
  return known[CODE.made_ms] + CODE_MS
end
local kept, waiting, made = 0, 0, 0
local rows = redis.call('HGETALL', codes)
for i = 1, #rows, 2 do
  local row = cmsgpack.unpack(rows[i + 1])
  local age_ms = now_ms - row[CODE.made_ms]
  if age_ms >= CODE_MS + DAY_MS then
    redis.call('HDEL', codes, rows[i])
  else
    kept = kept + 1
    if row[CODE.by] == by and age_ms < CODE_MS then
      made = made + 1
      waiting = waiting + (row[CODE.used_by] == '' and 1 or 0)
    end
  end
end
if kept >= MAX_CODES_KEPT or (by == '' and waiting >= MAX_CODES) or (by ~= '' and made >= MAX_CODES_A_DAY) then
  return refuse('too_many_codes')
end
redis.call('HSET', codes, hash, pack_row(CODE, {made_ms = now_ms, by = by, used_by = ''}))
return now_ms + CODE_MS
