const words = (text: string) => text.trim().split(/\s+/)

/**
 * The functions that callers may use, by what they are for. All others are refused: those that read files, settings
 * or the catalog, that run text as SQL, that wait, and those whose result can be much larger than what they are
 * given (`repeat`, `lpad`, `range`, `printf`), which no limit of DuckDB bounds.
 */
const scalarThemes = {
  operators: words(`+ - * / // % ^ ** & | << >> ~ || @ -> ->> ~~ !~~ ~~* !~~* ~~~ ^@
    like_escape not_like_escape ilike_escape not_ilike_escape add subtract multiply divide mod xor`),
  numbers:
    words(`abs ceil ceiling floor round round_even trunc sign sqrt cbrt exp ln log log2 log10 pow power greatest least
    sin cos tan asin acos atan atan2 sinh cosh tanh cot degrees radians pi e even gcd lcm factorial gamma lgamma
    isnan isinf isfinite bit_count nextafter fdiv fmod width_bucket`),
  conditions: words('nullif ifnull constant_or_null'),
  texts:
    words(`length len char_length character_length strlen lower upper lcase ucase trim ltrim rtrim concat concat_ws
    substring substr substring_grapheme left right left_grapheme right_grapheme replace translate reverse strpos instr position
    contains starts_with ends_with prefix suffix split string_split str_split split_part string_to_array array_extract
    ascii chr ord unicode strip_accents nfc_normalize levenshtein editdist3 damerau_levenshtein hamming jaccard jaro_similarity
    jaro_winkler_similarity md5 sha1 sha256 hash hex unhex to_hex bin to_base64 from_base64 base64 url_encode url_decode
    regexp_matches regexp_full_match regexp_replace regexp_extract regexp_extract_all regexp_split_to_array regexp_escape
    string_split_regex str_split_regex format_bytes formatReadableSize initcap`),
  times:
    words(`date_part datepart date_trunc datetrunc date_diff datediff date_sub datesub date_add dayname monthname last_day
    make_date make_time make_timestamp make_timestamptz epoch epoch_ms epoch_us epoch_ns to_timestamp year month day hour minute second
    millisecond microsecond quarter week weekofyear weekday dayofweek dayofmonth dayofyear isodow isoyear yearweek century decade era
    millennium julian time_bucket strftime strptime try_strptime timezone timezone_hour timezone_minute age now today current_date
    current_timestamp get_current_timestamp to_years to_months to_weeks to_days to_hours to_minutes to_seconds to_milliseconds
    to_microseconds to_quarters to_decades`),
  lists:
    words(`list_value list_pack array_value list_extract list_element array_length list_contains list_has array_contains array_has list_position
    list_indexof list_sort list_reverse_sort list_distinct list_unique list_sum list_avg list_min list_max list_count list_first list_last
    list_median list_mode list_stddev_samp list_var_samp list_any_value list_aggregate list_slice array_slice list_concat list_cat
    list_append list_prepend array_append array_prepend list_transform list_apply array_transform array_apply list_filter array_filter
    apply filter list_reduce list_zip flatten list_reverse array_reverse list_has_any list_has_all list_intersect list_where list_select
    array_to_string list_dot_product list_cosine_similarity list_distance array_distance array_inner_product array_cosine_similarity list_bool_and list_bool_or
    list_string_agg list_product list_histogram`),
  structs:
    words(`struct_pack row struct_extract struct_extract_at struct_insert struct_concat map map_extract map_extract_value element_at map_keys map_values
    map_entries map_from_entries map_contains map_concat cardinality`),
  json: words(`json_extract json_extract_string json_extract_path json_extract_path_text json_value json_exists json_type json_valid json_keys
    json_array_length json_contains json_object json_array to_json array_to_json row_to_json json`),
  others: words('typeof uuid gen_random_uuid random'),
}

const aggregateNames =
  words(`count count_star count_if countif sum sum_no_overflow kahan_sum fsum sumkahan avg mean favg min max product first last any_value arbitrary
  arg_min arg_max argmin argmax min_by max_by arg_min_null arg_max_null median mode quantile quantile_cont quantile_disc percentile_cont percentile_disc mad
  approx_count_distinct approx_quantile approx_top_k reservoir_quantile stddev stddev_samp stddev_pop variance var_samp var_pop sem
  skewness kurtosis kurtosis_pop entropy corr covar_samp covar_pop regr_slope regr_intercept regr_r2 regr_count regr_avgx regr_avgy regr_sxx regr_syy
  regr_sxy bool_and bool_or bit_and bit_or bit_xor list array_agg string_agg group_concat listagg histogram geometric_mean geomean`)

const windowNames = words(
  'row_number rank dense_rank rank_dense percent_rank cume_dist ntile lag lead first_value last_value nth_value first last',
)

export const scalars: ReadonlySet<string> = new Set(Object.values(scalarThemes).flat())
export const aggregates: ReadonlySet<string> = new Set(aggregateNames)
export const windows: ReadonlySet<string> = new Set(windowNames)

/** What stands without brackets and is no column. */
export const currentTimes: ReadonlySet<string> = new Set([
  'current_date',
  'current_timestamp',
  'today',
])

/** Types that something may be cast to. */
export const castTypes: ReadonlySet<string> = new Set(
  words(`BOOLEAN TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT FLOAT DOUBLE DECIMAL VARCHAR BLOB UUID DATE TIME
    TIMESTAMP TIMESTAMP_S TIMESTAMP_MS TIMESTAMP_NS TIMESTAMP_TZ TIME_TZ INTERVAL LIST ARRAY STRUCT MAP`).concat(
    'TIMESTAMP WITH TIME ZONE',
    'TIME WITH TIME ZONE',
  ),
)

/** What is at most so many letters away, for who mistyped it. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const farthest = Math.max(1, Math.floor(word.length / 3))
  let best: string | undefined
  let distance = farthest + 1
  for (const each of known) {
    const far = lettersBetween(word.toLowerCase(), each.toLowerCase(), distance)
    if (far < distance) [best, distance] = [each, far]
  }
  return best
}

/** Levenshtein's distance; anything from `max` on is as far. */
function lettersBetween(a: string, b: string, max: number): number {
  if (Math.abs(a.length - b.length) >= max) return max
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}
