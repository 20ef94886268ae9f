# Writes the request bodies of the old stack's R clients, as jsonlite and httr2 put them on the wire.
# Run in this folder: Rscript write_bodies.R (r-cran-jsonlite and r-cran-httr2 of Debian will do).
library(jsonlite)

write_body <- function(name, json) writeLines(json, paste0(name, ".json"))
by_httr2 <- function(data) {
  # What req_body_json() sends, through its own default arguments.
  do.call(toJSON, c(list(data), formals(httr2::req_body_json)[c("auto_unbox", "digits")], list(null = "null")))
}

points <- data.frame(x1 = c(1.5, -0.25, NA), x2 = c(4, NaN, Inf))
one <- points[1, ]

# Plain toJSON(): every scalar is an array of length one, NA in a numeric column is text.
write_body("columns", toJSON(list(model_type = "classification", features = as.list(points))))
write_body("rows", toJSON(list(model_type = "classification", features = points)))
write_body("rows_of_lists", toJSON(list(
  model_type = "classification",
  features = list(list(x1 = 1.5, x2 = 4), list(x1 = -0.25, x2 = NULL))
)))
write_body("no_rows", toJSON(list(model_type = "classification", features = points[0, ])))
write_body("missing_as_null", toJSON(
  list(model_type = "classification", features = as.list(points)),
  auto_unbox = TRUE, na = "null", digits = NA
))

# httr2: scalars stay scalars, so one row by column is a record of scalars.
write_body("httr2_one_row", by_httr2(list(model_type = "classification", features = as.list(one))))
write_body("httr2_rows", by_httr2(list(model_type = "classification", features = points)))

# Factors and a missing category, by column and by row.
penguins <- data.frame(
  bill_length_mm = c(39.1, 46.5), bill_depth_mm = c(18.7, 14.8),
  flipper_length_mm = c(181L, 217L), body_mass_g = c(3750L, 5200L),
  island = factor(c("Torgersen", "Biscoe")), sex = factor(c("male", NA))
)
write_body("factors_by_column", toJSON(list(model_type = "classification", features = as.list(penguins))))
write_body("factors_by_row", toJSON(list(model_type = "classification", features = penguins)))

history <- c(112, 118, NA, 129)
write_body("forecast_by_row", toJSON(list(
  model_type = "forecast", features = list(list(history = history, horizon = 3))
)))
write_body("forecast_by_column", by_httr2(list(
  model_type = "forecast", features = list(history = history, horizon = 3)
)))

# Times: Date and POSIXct are text, plain toJSON() puts a scalar into an array here too.
months <- seq(as.Date("2026-01-31") + 1, by = "month", length.out = 4) - 1
write_body("forecast_by_last_date", toJSON(list(
  model_type = "forecast", features = list(list(history = history, last_timestamp = months[4], horizon = 3))
)))
write_body("forecast_by_dates", by_httr2(list(
  model_type = "forecast", features = list(history = history, timestamps = months, horizon = 3)
)))
write_body("forecast_by_times", by_httr2(list(
  model_type = "forecast",
  features = list(list(history = history, timestamps = as.POSIXct(format(months), tz = "UTC"), horizon = 3))
)))

write_body("batch", toJSON(list(
  batch_id = "b-1",
  batches = list(
    list(model_type = "classification", features = points),
    list(model_type = "classification", features = as.list(one))
  )
)))
write_body("login", toJSON(list(username = "test@example.com", password = "password123")))
