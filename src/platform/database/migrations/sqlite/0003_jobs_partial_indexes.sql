DROP INDEX `jobs_claim`;--> statement-breakpoint
DROP INDEX `jobs_key`;--> statement-breakpoint
CREATE INDEX `jobs_ready` ON `jobs` (`priority`,`run_at`) WHERE state = 'ready';--> statement-breakpoint
CREATE INDEX `jobs_active` ON `jobs` (`lease_until`) WHERE state = 'active';--> statement-breakpoint
CREATE INDEX `jobs_failed` ON `jobs` (`id`) WHERE state = 'failed';--> statement-breakpoint
CREATE INDEX `jobs_unfinished` ON `jobs` (`owner_id`) WHERE owner_id is not null and finished_at is null;--> statement-breakpoint
CREATE UNIQUE INDEX `jobs_key` ON `jobs` (`key`) WHERE state = 'ready';