# Packages of the names of LightGBM's and XGBoost's for R, for machines that have none. A booster is a file that the
# library itself saved and its predictions, of tests/fixtures/trees; what scripts/export.R calls is there, and no more.

TREES <- file.path(here, "..", "fixtures", "trees")

fixture <- function(name, class) {
  expected <- jsonlite::fromJSON(file.path(TREES, name, "expected.json"), simplifyVector = FALSE)
  number <- function(value) if (is.null(value)) NA else if (is.character(value)) as.numeric(sub("Infinity", "Inf", value)) else value
  table <- function(rows) do.call(rbind, lapply(rows, \(row) vapply(row, number, 0)))
  booster <- list(
    file = list.files(file.path(TREES, name), "^model", full.names = TRUE), objective = expected$objective,
    inputs = table(expected$inputs), predictions = table(expected$predictions)
  )
  colnames(booster$inputs) <- paste0("x", seq_len(ncol(booster$inputs)) - 1)
  structure(booster, class = class)
}

#' What the library said of these rows. It says nothing of others.
looked_up <- function(booster, newdata) {
  codes <- function(column) if (is.factor(column)) as.integer(column) - 1L else as.double(column)
  if (is.data.frame(newdata)) newdata <- vapply(newdata, codes, numeric(nrow(newdata)))
  key <- function(rows) apply(rows, 1, \(row) paste(sprintf("%.17g", row), collapse = " "))
  at <- match(key(newdata), key(booster$inputs))
  if (anyNA(at)) stop("the stand-in was asked for rows that the fixture has not")
  booster$predictions[at, ]
}

#' Installs a package of R functions, and loads it.
stand_in <- function(package, exports, class, predict) {
  folder <- file.path(tempfile(), package)
  library <- tempfile()
  dir.create(file.path(folder, "R"), recursive = TRUE)
  dir.create(library)
  about <- c(Package = package, Version = "0.0.1", Title = "Stands In", Description = "Stands in.", License = "Apache-2.0")
  writeLines(paste0(names(about), ": ", about), file.path(folder, "DESCRIPTION"))
  exported <- sprintf("export(%s)", names(exports))
  writeLines(c(exported, sprintf("S3method(predict, %s)", class), "importFrom(stats, predict)"), file.path(folder, "NAMESPACE"))
  functions <- c(exports, list(looked_up = looked_up, predict = predict))
  names(functions)[length(functions)] <- paste0("predict.", class)
  source <- file.path(folder, "R", "all.R")
  for (name in names(functions)) cat(paste(name, "<-"), deparse(functions[[name]]), file = source, sep = "\n", append = TRUE)
  utils::install.packages(folder, library, repos = NULL, type = "source", quiet = TRUE)
  loadNamespace(package, lib.loc = library)
  said$stood_in <<- I(c(said$stood_in, package))
}

#' The rows of a fixture as a caller has them: codes of two columns become the levels of factors.
as_levels <- function(booster) {
  is_code <- \(values) is.na(values) | values == floor(values) & values >= 0 & values <= 500
  rows <- booster$inputs
  rows <- rows[is_code(rows[, "x5"]) & is_code(rows[, "x6"]) & rowSums(is.infinite(rows)) == 0, ]
  data <- as.data.frame(rows)
  for (name in c("x5", "x6")) data[[name]] <- factor(paste("level", data[[name]]), paste("level", 0:500))
  data
}

with_lightgbm_standing_in <- function() {
  exports <- list(lgb.save = function(booster, filename) file.copy(booster$file, filename))
  stand_in("lightgbm", exports, "lgb.Booster", \(object, newdata, ...) looked_up(object, newdata))
  booster <- fixture("lightgbm-categorical", "lgb.Booster")
  data <- as_levels(booster)
  # The fixture was trained on codes from 0, where R counts from 1.
  to_matrix <- function(data) {
    made <- data.matrix(data)
    made[, c("x5", "x6")] <- made[, c("x5", "x6")] - 1
    made
  }
  exported("r-lightgbm-train", booster, data, looked_up(booster, data), to_matrix = to_matrix, title = "By R", metrics = list(rmse = 0.5))
  to_zero <- \(data) { made <- to_matrix(data); made[is.na(made)] <- 0; made }
  refused("what becomes of missing", export(booster, "refused", data, to_matrix = to_zero))
  refused("by the server", export(booster, "refused", data, to_matrix = to_matrix, metrics = list(rmse = "good"), classes = c("a", "b")))
  refused("without a token", export(booster, "refused", data, to_matrix = to_matrix, token = ""))
  refused("text", export(booster, "refused", transform(data, x5 = as.character(x5))))
  refused("times", export(booster, "refused", transform(data, x5 = Sys.Date())))
}

with_xgboost_standing_in <- function() {
  exports <- list(
    xgb.save = function(model, fname) file.copy(model$file, fname),
    xgb.config = function(object) paste0('{"learner": {"objective": {"name": "', object$objective, '"}}}'),
    getinfo = function(object, name) if (object$takes_factors) rep(c("q", "c"), c(5, 3)) else stop("It has none.")
  )
  # As before 3.0, where all that is said of several classes is one vector.
  stand_in("xgboost", exports, "xgb.Booster", \(object, newdata, ...) as.vector(t(looked_up(object, newdata))))
  factors <- fixture("xgboost-categorical-ubj", "xgb.Booster")
  factors$takes_factors <- TRUE
  data <- as_levels(factors)
  exported("r-xgboost-factors", factors, data, looked_up(factors, data))
  odds <- fixture("xgboost-softprob-ubj", "xgb.Booster")
  odds$takes_factors <- FALSE
  rows <- odds$inputs[rowSums(is.infinite(odds$inputs)) == 0, ]
  exported("r-xgboost-labels", odds, rows, looked_up(odds, rows), classes = levels(words), rows = as.data.frame(rows))
}
