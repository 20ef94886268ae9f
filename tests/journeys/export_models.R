# Fits small models and exports them to a server, as its users do; prints what the libraries say of rows, as JSON.
# Where a library is not there, a stand-in of its name hands out a file that the real one saved, and what that said.
# Usage: Rscript export_models.R URL TOKEN

given <- commandArgs(trailingOnly = TRUE)
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
source(file.path(here, "..", "..", "scripts", "export.R"))
source(file.path(here, "export_stand_ins.R"))
Sys.setenv(QUINTET_URL = given[1], QUINTET_TOKEN = given[2])
set.seed(7)
SHOWN <- 60
said <- list(stood_in = I(character()), models = list(), rounds = list(), refused = list())

exported <- function(name, model, data, predictions, ..., rows = data) {
  version <- export(model, name, data, ...)
  said$models[[name]] <<- list(
    version = version, rows = lapply(utils::head(rows, SHOWN), json_values),
    predictions = json_values(utils::head(predictions, SHOWN))
  )
}

refused <- function(name, attempt) {
  said$refused[[name]] <<- tryCatch(paste("taken:", attempt), error = conditionMessage)
}

n <- 600
pick <- function(values) factor(sample(c(values, NA), n, TRUE), levels = rev(c(values, "sold out")))
users <- data.frame(
  plan = pick(c("basic", "plus", "pro")), city = pick(c("Køln", "“Rome”", "Oslo")),
  age = round(ifelse(runif(n) < 0.2, NA, rnorm(n, 40, 9)), 3), visits = sample(0:9, n, TRUE),
  size = factor(sample(c("S", "M", "L"), n, TRUE), c("S", "M", "L"), ordered = TRUE)
)
filled <- function(values, instead) ifelse(is.na(values), instead, values)
score <- filled(as.integer(users$plan), 2) + 2 * filled(as.integer(users$city) %% 2, 0) + filled(users$age, 20) / 20 +
  users$visits / 5 + as.integer(users$size) / 2 + rnorm(n, 0, 0.4)
group <- as.integer(cut(score, quantile(score, c(0, 0.3, 0.7, 1)), include.lowest = TRUE)) - 1
words <- factor(c("stays", "leaves", "wavers")[group + 1], levels = c("stays", "leaves", "wavers"))
held <- 401:n

with_lightgbm <- function() {
  library(lightgbm)
  quiet <- list(verbose = -1, num_threads = 1, min_data_in_leaf = 5, learning_rate = 0.5)
  matrix <- data.matrix(users)
  train <- lgb.Dataset(matrix[-held, ], label = score[-held], categorical_feature = c("plan", "city"))
  valid <- lgb.Dataset.create.valid(train, matrix[held, ], label = score[held])
  stopped <- lgb.train(c(quiet, objective = "regression"), train, 300, list(held = valid), early_stopping_rounds = 5)
  said$rounds$lightgbm <<- c(stopped$best_iter, stopped$current_iter())
  exported("r-lightgbm-train", stopped, users, predict(stopped, matrix), title = "By R", metrics = list(rmse = 0.5))

  # These rules pass over factors that are ordered, and make 0 of what is missing.
  complete <- users[stats::complete.cases(users[c("plan", "city")]), names(users) != "size"]
  rules <- lgb.convert_with_rules(complete)$rules
  to_matrix <- \(data) as.matrix(lgb.convert_with_rules(data, rules = rules)$data)
  labels <- words[as.integer(rownames(complete))]
  classes <- lightgbm(to_matrix(complete), labels, params = quiet, nrounds = 15, objective = "multiclass")
  exported("r-lightgbm-classes", classes, complete, unname(predict(classes, to_matrix(complete))), to_matrix = to_matrix)
  refused("what becomes of missing", export(classes, "refused", users[names(complete)], to_matrix = to_matrix))
  plain <- lightgbm(unname(matrix), score, params = quiet, nrounds = 10)
  unnamed <- setNames(as.data.frame(matrix), paste0("f", 0:4))
  exported("r-lightgbm-matrix", plain, unname(matrix), predict(plain, unname(matrix)), rows = unnamed)
  refused("by the server", export(stopped, "refused", users, metrics = list(rmse = "good"), classes = c("a", "b")))
  refused("without a token", export(stopped, "refused", users, token = ""))
  texts <- transform(users, plan = as.character(plan))
  refused("text", export(stopped, "refused", texts))
  refused("times", export(stopped, "refused", transform(users, plan = Sys.Date())))
}

with_xgboost <- function() {
  library(xgboost)
  matrix <- data.matrix(users)
  params <- list(nthread = 1, max_depth = 3, eta = 0.9, tree_method = "hist")
  labels <- xgb.train(c(params, objective = "multi:softmax", num_class = 3), xgb.DMatrix(matrix, label = group), 8, verbose = 0)
  odds <- xgb.train(c(params, objective = "multi:softprob", num_class = 3), xgb.DMatrix(matrix, label = group), 8, verbose = 0)
  told <- predict(odds, matrix)
  if (is.null(dim(told))) told <- base::matrix(told, ncol = 3, byrow = TRUE)
  exported("r-xgboost-labels", labels, users, told, classes = levels(words))
  if (packageVersion("xgboost") < "3") return(invisible())

  train <- xgb.DMatrix(users[-held, ], label = group[-held] > 0)
  valid <- xgb.DMatrix(users[held, ], label = group[held] > 0)
  stopped <- xgb.train(
    c(params, objective = "binary:logistic"), train, 60, list(held = valid), early_stopping_rounds = 3, verbose = 0
  )
  said$rounds$xgboost <<- c(as.integer(xgb.attr(stopped, "best_iteration")) + 1, xgb.get.num.boosted.rounds(stopped))
  exported("r-xgboost-factors", stopped, users, predict(stopped, users), classes = c("stays", "leaves"))
  classes <- xgboost(users, words, nrounds = 8, max_depth = 3, nthreads = 1)
  exported("r-xgboost-classes", classes, users, unname(predict(classes, users)))
}

if (requireNamespace("lightgbm", quietly = TRUE)) with_lightgbm() else with_lightgbm_standing_in()
if (requireNamespace("xgboost", quietly = TRUE)) with_xgboost() else with_xgboost_standing_in()
cat(jsonlite::toJSON(said, auto_unbox = TRUE, na = "null", json_verbatim = TRUE))
